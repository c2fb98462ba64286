// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// bench-wasmtime: what instances of a module cost in Wasmtime. It speaks as bench-cycle does, so that one program runs
// both: a line "cycles nanoseconds" for each thread or process, or with --hold "opened" and "held", after each of which
// it waits for a line.

mod allocator;
mod instances;
mod measure;
mod members;
mod options;

use options::Options;

fn main() {
    let options = Options::parse(std::env::args().skip(1).collect());

    if let Some(to) = &options.compile_to {
        allocator::compile(&options.file, to);
    } else if options.processes > 1 && !options.threads {
        members::run_processes(&options);
    } else if options.processes > 1 {
        members::run_threads(&options);
    } else {
        members::run_one(&options);
    }
}

/// A measurement with a hole in it is none.
fn fail(what: &str, why: impl std::fmt::Display) -> ! {
    eprintln!("bench-wasmtime: {what}: {why}");
    std::process::exit(1)
}
