// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

use crate::fail;
use crate::options::number;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, Module, PoolingAllocationConfig,
};

/// Once for each module, at build time; what is compiled does not depend on the allocator.
pub fn compile(file: &str, to: &str) {
    let bytes = std::fs::read(file).unwrap_or_else(|error| fail(file, error));
    let engine = Engine::new(&Config::new()).unwrap_or_else(|error| fail("Engine::new", error));
    let compiled = engine
        .precompile_module(&bytes)
        .unwrap_or_else(|error| fail(file, error));

    std::fs::write(to, compiled).unwrap_or_else(|error| fail(to, error));
}

pub fn load(engine: &Engine, file: &str) -> Module {
    // SAFETY: the file is what compile() has written.
    unsafe { Module::deserialize_file(engine, file) }.unwrap_or_else(|error| fail(file, error))
}

pub fn engine(address: &str) -> Engine {
    let mut config = Config::new();

    config.allocation_strategy(strategy(address));
    Engine::new(&config).unwrap_or_else(|error| fail(address, error))
}

fn strategy(address: &str) -> InstanceAllocationStrategy {
    let mut words = address.split(',');

    match words.next() {
        Some("on-demand") => InstanceAllocationStrategy::OnDemand,
        Some("pooling") => {
            let mut pool = PoolingAllocationConfig::new();

            for word in words {
                match word.split_once('=') {
                    Some((knob, value)) => turn(&mut pool, knob, value),
                    None => fail(word, "is not a knob with a value"),
                }
            }
            InstanceAllocationStrategy::Pooling(pool)
        }
        _ => fail(
            address,
            "is not an allocator: on-demand or pooling[,KNOB=VALUE]...",
        ),
    }
}

/// The knobs keep their defaults otherwise: a thousand of everything.
fn turn(pool: &mut PoolingAllocationConfig, knob: &str, value: &str) {
    match knob {
        "linear_memory_keep_resident" => pool.linear_memory_keep_resident(number(value)),
        "table_keep_resident" => pool.table_keep_resident(number(value)),
        "max_unused_warm_slots" => pool.max_unused_warm_slots(number(value)),
        "decommit_batch_size" => pool.decommit_batch_size(number(value)),
        "pagemap_scan" => pool.pagemap_scan(match value {
            "yes" => Enabled::Yes,
            "auto" => Enabled::Auto,
            _ => Enabled::No,
        }),
        _ => fail(knob, "is not a knob that is tried"),
    };
}
