// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

use crate::fail;
use crate::instances::Instances;
use crate::measure::{self, Measured};
use crate::options::Options;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Barrier;

pub fn run_one(options: &Options) {
    let instances = Instances::open(options);

    if options.hold > 0 {
        return hold(&instances, options.hold);
    }
    measure::repeat(&instances, options.warm);
    if options.member {
        say_and_wait("warm");
    }
    print(&measure::run(&instances, options));
}

/// Threads of one process, with one engine.
pub fn run_threads(options: &Options) {
    let instances = Instances::open(options);
    let start = Barrier::new(options.processes);

    std::thread::scope(|scope| {
        let member = || {
            measure::repeat(&instances, options.warm);
            start.wait();
            measure::run(&instances, options)
        };
        let members: Vec<_> = (0..options.processes)
            .map(|_| scope.spawn(member))
            .collect();

        for member in members {
            print(
                &member
                    .join()
                    .unwrap_or_else(|_| fail("thread", "has panicked")),
            );
        }
    });
}

/// Processes that begin to measure when all are warm.
pub fn run_processes(options: &Options) {
    let mut members: Vec<_> = (0..options.processes).map(|_| start_member()).collect();

    for (_, output) in &mut members {
        read_line(output);
    }
    for (child, _) in &mut members {
        let input = child.stdin.as_mut().expect("is piped");
        writeln!(input).unwrap_or_else(|error| fail("member", error));
    }
    for (child, output) in &mut members {
        let mut said = String::new();

        output
            .read_to_string(&mut said)
            .unwrap_or_else(|error| fail("member", error));
        print!("{said}");
        if !child.wait().is_ok_and(|status| status.success()) {
            fail("member", "has failed");
        }
    }
}

fn start_member() -> (Child, BufReader<ChildStdout>) {
    let program = std::env::current_exe().unwrap_or_else(|error| fail("current_exe", error));
    let mut child = Command::new(program)
        .args(std::env::args().skip(1))
        .args(["--processes", "1", "--member"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| fail("member", error));
    let output = BufReader::new(child.stdout.take().expect("is piped"));

    (child, output)
}

/// Have so many instances at one time, for others to look at.
fn hold(instances: &Instances, n: usize) {
    say_and_wait("opened");
    let held: Vec<_> = (0..n).map(|_| instances.make()).collect();
    say_and_wait("held");
    drop(held);
}

fn say_and_wait(word: &str) {
    println!("{word}");
    read_line(&mut std::io::stdin().lock());
}

fn read_line(from: &mut impl BufRead) {
    let mut line = String::new();

    if !from.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        fail("member", "nobody is there any more");
    }
}

fn print(measured: &Measured) {
    println!("{} {}", measured.cycles, measured.ns);
}
