// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

use crate::allocator;
use crate::fail;
use crate::options::Options;
use wasmtime::{Engine, InstancePre, Linker, Module, ModuleExport, Store};

/// What a host keeps while its instances come and go: everything that can be worked out before is.
pub struct Instances {
    engine: Engine,
    pre: InstancePre<()>,
    /// The memory that is written to; none where there is nothing to be written.
    memory: Option<ModuleExport>,
    touch: usize,
    stride: usize,
}

impl Instances {
    pub fn open(options: &Options) -> Instances {
        let engine = allocator::engine(&options.address);
        let module = allocator::load(&engine, &options.file);
        let mut linker = Linker::new(&engine);

        // Nobody calls them.
        linker
            .define_unknown_imports_as_traps(&module)
            .unwrap_or_else(|error| fail(&options.file, error));
        Instances {
            memory: touched_memory(&module, options),
            pre: linker
                .instantiate_pre(&module)
                .unwrap_or_else(|error| fail(&options.file, error)),
            engine,
            touch: options.touch,
            stride: options.stride,
        }
    }

    /// An instance in a store of its own; it goes with the store.
    pub fn make(&self) -> Store<()> {
        let mut store = Store::new(&self.engine, ());
        let instance = self
            .pre
            .instantiate(&mut store)
            .unwrap_or_else(|error| fail("instantiate", error));

        if let Some(export) = &self.memory {
            let memory = instance
                .get_module_export(&mut store, export)
                .and_then(|export| export.into_memory());
            let base = memory
                .unwrap_or_else(|| fail("memory", "is no memory"))
                .data_ptr(&store);

            for page in 0..self.touch {
                // SAFETY: touched_memory() has seen that the memory has this byte.
                unsafe { base.add(page * self.stride).write_volatile(!(page as u8)) };
            }
        }
        store
    }

    pub fn cycle(&self) {
        drop(self.make());
    }
}

fn touched_memory(module: &Module, options: &Options) -> Option<ModuleExport> {
    if options.touch == 0 {
        return None;
    }
    let Some(wasmtime::ExternType::Memory(memory)) = module.get_export("memory") else {
        fail(&options.file, "exports no memory to be touched");
    };
    if (options.touch - 1) * options.stride >= memory.minimum() as usize * 65536 {
        fail("--touch", "is beyond the memory");
    }
    module.get_export_index("memory")
}
