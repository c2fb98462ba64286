// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

use crate::fail;
use std::str::FromStr;

/// bench-cycle's options of these names, and two of its own: `compile_to`, and `member`.
#[derive(Default)]
pub struct Options {
    pub file: String,
    /// The allocator: "on-demand", or "pooling" with Wasmtime's knobs, "pooling,table_keep_resident=65536".
    pub address: String,
    /// Compile `file` into this one, and do nothing else.
    pub compile_to: Option<String>,
    /// Host pages that each cycle writes to, and how many bytes they are apart.
    pub touch: usize,
    pub stride: usize,
    pub warm: u64,
    pub cycles: u64,
    pub ms: u64,
    pub hold: usize,
    pub processes: usize,
    pub threads: bool,
    /// One of several processes: wait for a line before the clock runs.
    pub member: bool,
}

impl Options {
    pub fn parse(arguments: Vec<String>) -> Options {
        let mut options = Options {
            processes: 1,
            cycles: 10_000,
            warm: 1000,
            stride: 4096,
            ..Options::default()
        };
        let mut rest = arguments.into_iter();

        while let Some(name) = rest.next() {
            if !options.set_flag(&name) {
                let value = rest.next().unwrap_or_else(|| fail(&name, "wants a value"));
                options.set(&name, value);
            }
        }
        if options.file.is_empty() {
            fail("--file", "says which module to make instances of");
        }
        options
    }

    fn set_flag(&mut self, name: &str) -> bool {
        match name {
            "--threads" => self.threads = true,
            "--member" => self.member = true,
            "--wait" => {} // as it does with --hold anyway
            _ => return false,
        }
        true
    }

    fn set(&mut self, name: &str, value: String) {
        match name {
            "--file" => self.file = value,
            "--address" => self.address = value,
            "--compile-to" => self.compile_to = Some(value),
            "--touch" => self.touch = number(&value),
            "--stride" => self.stride = number(&value),
            "--warm" => self.warm = number(&value),
            "--cycles" => self.cycles = number(&value),
            "--ms" => self.ms = number(&value),
            "--hold" => self.hold = number(&value),
            "--processes" => self.processes = number(&value),
            "--work" if value == "instance" => {}
            _ => fail(name, "is not an option"),
        }
    }
}

pub fn number<T: FromStr>(text: &str) -> T {
    text.parse()
        .unwrap_or_else(|_| fail(text, "is not a number in range"))
}
