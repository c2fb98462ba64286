// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

use crate::instances::Instances;
use crate::options::Options;
use std::time::{Duration, Instant};

/// As in bench-cycle, whose comments say why.
const SLICE: Duration = Duration::from_millis(1);
const BATCH: Duration = Duration::from_micros(10);

pub struct Measured {
    pub cycles: u64,
    pub ns: u128,
}

pub fn run(instances: &Instances, options: &Options) -> Measured {
    if options.ms > 0 {
        run_for(instances, Duration::from_millis(options.ms))
    } else {
        run_cycles(instances, options.cycles)
    }
}

pub fn repeat(instances: &Instances, cycles: u64) {
    for _ in 0..cycles {
        instances.cycle();
    }
}

fn run_cycles(instances: &Instances, cycles: u64) -> Measured {
    let start = Instant::now();

    repeat(instances, cycles);
    Measured {
        cycles,
        ns: start.elapsed().as_nanos(),
    }
}

/// In slices, of which those count in which nobody else had the processor.
fn run_for(instances: &Instances, time: Duration) -> Measured {
    let start = Instant::now();
    let (mut batch, mut all, mut cycles, mut counted) = (1, 0, 0, Duration::ZERO);

    while start.elapsed() < time || (counted < time / 5 && start.elapsed() < time * 10) {
        let begin = Instant::now();
        let interruptions = interruptions();
        let mut n = 0;

        while begin.elapsed() < SLICE {
            let before = Instant::now();

            repeat(instances, batch);
            n += batch;
            if before.elapsed() < BATCH {
                batch *= 2;
            }
        }
        all += n;
        let elapsed = begin.elapsed();
        if self::interruptions() == interruptions {
            cycles += n;
            counted += elapsed;
        }
    }
    if cycles > 0 {
        Measured {
            cycles,
            ns: counted.as_nanos(),
        }
    } else {
        Measured {
            cycles: all,
            ns: start.elapsed().as_nanos(),
        }
    }
}

/// How often this thread has had to leave its processor although it wanted to go on.
fn interruptions() -> i64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();

    // SAFETY: the kernel fills it; what it does not fill is zero.
    unsafe {
        libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
        usage.assume_init().ru_nivcsw
    }
}
