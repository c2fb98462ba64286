// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vmoffsets SEED ROWS [POINTER_SIZE]: layouts of random modules as Wasmtime computes them, as CSV. The columns are those
// of ../vmoffsets.csv, and behind them the offsets that its rows do not have. Equal arguments give equal rows; without
// POINTER_SIZE each row has its own.

use std::io::Write;
use wasmtime_environ::{VMOffsets, VMOffsetsFields};

const COLUMNS: &str = "ptr,imported_functions,imported_tables,imported_memories,imported_globals,imported_tags,\
    defined_tables,defined_memories,owned_memories,defined_globals,defined_tags,escaped_funcs,runtime_data,has_startup,\
    o_imported_memories,o_memories,o_owned_memories,o_imported_functions,o_imported_tables,o_imported_globals,\
    o_imported_tags,o_tables,o_globals,o_tags,o_func_refs,size,o_startup_func_ref,o_runtime_data_bases,\
    o_runtime_data_lengths";

/// SplitMix64: any seed will do, 0 too.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn up_to(&mut self, most: u32) -> u32 {
        (self.next() % (u64::from(most) + 1)) as u32
    }

    /// Of very different sizes, for what each kind of item adds must be seen beside the others. All of them at their
    /// most stay below 2^32 bytes.
    fn count(&mut self) -> u32 {
        match self.up_to(9) {
            0..=2 => 0,
            3..=5 => self.up_to(3),
            6..=7 => self.up_to(20),
            8 => self.up_to(5_000),
            _ => self.up_to(1 << 20),
        }
    }
}

fn fields(random: &mut Random, ptr: u8) -> VMOffsetsFields<u8> {
    let defined_memories = random.count();
    VMOffsetsFields {
        ptr,
        num_imported_functions: random.count(),
        num_imported_tables: random.count(),
        num_imported_memories: random.count(),
        num_imported_globals: random.count(),
        num_imported_tags: random.count(),
        num_defined_tables: random.count(),
        num_defined_memories: defined_memories,
        num_owned_memories: random.up_to(defined_memories),
        num_defined_globals: random.count(),
        num_defined_tags: random.count(),
        num_escaped_funcs: random.count(),
        num_runtime_data: random.count(),
        has_startup_func: random.up_to(1) == 1,
    }
}

/// Where the startup function's reference is, or would be: Wasmtime's accessor panics for a module without one.
fn startup_func_ref(offsets: &VMOffsets<u8>) -> u32 {
    let bytes = offsets.region_sizes().find(|(name, _)| *name == "startup funcref").unwrap().1;
    let offset = offsets.vmctx_runtime_data_bases_begin() - bytes;
    assert!(!offsets.has_startup_func || offset == offsets.vmctx_startup_func_ref());
    offset
}

fn row(o: &VMOffsets<u8>) -> String {
    [
        u32::from(o.ptr),
        o.num_imported_functions,
        o.num_imported_tables,
        o.num_imported_memories,
        o.num_imported_globals,
        o.num_imported_tags,
        o.num_defined_tables,
        o.num_defined_memories,
        o.num_owned_memories,
        o.num_defined_globals,
        o.num_defined_tags,
        o.num_escaped_funcs,
        o.num_runtime_data,
        u32::from(o.has_startup_func),
        o.vmctx_imported_memories_begin(),
        o.vmctx_memories_begin(),
        o.vmctx_owned_memories_begin(),
        o.vmctx_imported_functions_begin(),
        o.vmctx_imported_tables_begin(),
        o.vmctx_imported_globals_begin(),
        o.vmctx_imported_tags_begin(),
        o.vmctx_tables_begin(),
        o.vmctx_globals_begin(),
        o.vmctx_tags_begin(),
        o.vmctx_func_refs_begin(),
        o.region_sizes().map(|(_, bytes)| bytes).sum(),
        startup_func_ref(o),
        o.vmctx_runtime_data_bases_begin(),
        o.vmctx_runtime_data_lengths_begin(),
    ]
    .map(|value| value.to_string())
    .join(",")
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<u64> =
        std::env::args().skip(1).map(|argument| argument.parse().expect("a number")).collect();
    let (seed, rows, pointer_size) = match arguments[..] {
        [seed, rows] => (seed, rows, None),
        [seed, rows, size @ (4 | 8)] => (seed, rows, Some(size as u8)),
        _ => {
            eprintln!("usage: vmoffsets SEED ROWS [4|8]");
            std::process::exit(2);
        }
    };
    let mut random = Random(seed);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    writeln!(out, "{COLUMNS}")?;
    for _ in 0..rows {
        let ptr = pointer_size.unwrap_or_else(|| if random.up_to(1) == 1 { 8 } else { 4 });
        writeln!(out, "{}", row(&VMOffsets::from(fields(&mut random, ptr))))?;
    }
    out.flush()
}
