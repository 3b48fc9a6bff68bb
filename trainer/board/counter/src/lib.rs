//! A plugin of QEMU that counts how often each block of instructions runs between two marks.
//!
//! The marks are two functions of the program: when `begin` is reached counting starts, when `end`
//! is reached one *region* is written: a line `region`, then a line for each block of instructions
//! that ran, `FIRST END INSTRUCTIONS RUNS JUMPS` (addresses in hexadecimal). A block is what the
//! emulator translates as one: it is entered at its first instruction and run to its last. `JUMPS`
//! says how often what came next was not the instruction behind it.
//!
//! The emulator hands over `begin=ADDRESS`, `end=ADDRESS` and `out=FILE`. With `low=ADDRESS` and `high=ADDRESS` in place of marks the
//! plugin sees where the program writes instead: whenever that is lower than ever before in the range from `low` to `high`, a line
//! with the address is written, so that the last line tells how deep a stack there became. The emulated processor has
//! one core, so that all calls come from one thread.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// The version of the plugin interface, which the emulator compares with its own. Up to QEMU 8 it
/// wants 1, from QEMU 9 on 2 or more; the functions used here are the same.
// SAFETY: no other symbol of this name is linked into the plugin.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = match option_env!("TEFF_QEMU_PLUGIN_API") {
    Some(version) if matches!(version.as_bytes(), b"1") => 1,
    _ => 2,
};

type TranslationCallback = extern "C" fn(id: u64, block: *mut c_void);
type ExecutionCallback = extern "C" fn(cpu: c_uint, data: *mut c_void);
type MemoryCallback = extern "C" fn(cpu: c_uint, info: u32, address: u64, data: *mut c_void);

/// Of the interface's kinds of access to memory, the one that is watched.
const WRITES: c_int = 2;

// SAFETY: these are the declarations of qemu-plugin.h; an opaque structure stands as `c_void`.
unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, callback: TranslationCallback);
    fn qemu_plugin_register_vcpu_tb_exec_cb(
        block: *mut c_void,
        callback: ExecutionCallback,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_mem_cb(
        instruction: *mut c_void,
        callback: MemoryCallback,
        flags: c_int,
        accesses: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(block: *const c_void) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const c_void, index: usize) -> *mut c_void;
    fn qemu_plugin_insn_vaddr(instruction: *const c_void) -> u64;
    fn qemu_plugin_insn_size(instruction: *const c_void) -> usize;
}

/// A block of instructions. It lives as long as the emulator, which keeps its address.
struct Block {
    first: u64,
    end: u64,
    instructions: usize,
    runs: AtomicU64,
    jumps: AtomicU64,
}

/// What the plugin does.
enum Task {
    /// Counts between marks at these addresses.
    Count { begin: u64, end: u64 },
    /// Looks for the lowest address that is written to in this range.
    Watch { low: u64, high: u64 },
}

struct Settings {
    task: Task,
    out: BufWriter<File>,
    /// Blocks that ran in this region.
    touched: Vec<&'static Block>,
}

static SETTINGS: Mutex<Option<Settings>> = Mutex::new(None);
static BEGIN: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);
static COUNTING: AtomicBool = AtomicBool::new(false);
static LOW: AtomicU64 = AtomicU64::new(0);
/// The end of the range that is watched; from the first write on the lowest address that was written to.
static LOWEST: AtomicU64 = AtomicU64::new(0);
/// The block that ran before, null at the beginning of a region.
static LAST: AtomicPtr<Block> = AtomicPtr::new(null_mut());

/// Called by the emulator after loading; anything but 0 makes it give up.
///
/// # Safety
/// `argv` has `argc` strings, as the emulator's interface promises.
// SAFETY: no other symbol of this name is linked into the plugin.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    let count = usize::try_from(argc).unwrap_or(0);
    let words = (0..count).map(|i| {
        // SAFETY: `i` is below `argc`, and each argument is a string that ends with a zero.
        unsafe { CStr::from_ptr(*argv.add(i)) }.to_string_lossy()
    });
    match settings(words) {
        Ok(settings) => {
            let callback: TranslationCallback = match settings.task {
                Task::Count { begin, end } => {
                    BEGIN.store(begin, Ordering::Relaxed);
                    END.store(end, Ordering::Relaxed);
                    translated
                }
                Task::Watch { low, high } => {
                    LOW.store(low, Ordering::Relaxed);
                    LOWEST.store(high, Ordering::Relaxed);
                    translated_to_watch
                }
            };
            if let Ok(mut place) = SETTINGS.lock() {
                *place = Some(settings);
            }
            // SAFETY: `id` is the one that this plugin was given, and the callback has the type that
            // the interface asks for.
            unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, callback) };
            0
        }
        Err(problem) => {
            eprintln!("teff-counter: {problem}");
            1
        }
    }
}

fn settings<W: AsRef<str>>(words: impl Iterator<Item = W>) -> Result<Settings, String> {
    let (mut begin, mut end, mut low, mut high, mut out) = (None, None, None, None, None);
    for word in words {
        let word = word.as_ref();
        let (key, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is no setting"))?;
        let address = || {
            let digits = value.trim_start_matches("0x");
            u64::from_str_radix(digits, 16).map_err(|_| format!("`{word}` is no address"))
        };
        match key {
            "begin" => begin = Some(address()?),
            "end" => end = Some(address()?),
            "low" => low = Some(address()?),
            "high" => high = Some(address()?),
            "out" => out = Some(File::create(value).map_err(|error| format!("{value}: {error}"))?),
            _ => return Err(format!("`{key}` is no setting")),
        }
    }
    let out = BufWriter::new(out.ok_or("`out` is missing")?);
    let task = match (begin, end, low, high) {
        (Some(begin), Some(end), None, None) => Task::Count { begin, end },
        (None, None, Some(low), Some(high)) => Task::Watch { low, high },
        _ => return Err("`begin` and `end`, or `low` and `high`, are what is needed".to_string()),
    };
    Ok(Settings { task, out, touched: Vec::new() })
}

/// A block was translated: from now on the emulator says whenever it runs.
extern "C" fn translated(_id: u64, block: *mut c_void) {
    // SAFETY: `block` is valid during this call, its instructions are asked for within their number,
    // and the emulator keeps the pointer to `counted`, which is never freed.
    unsafe {
        let instructions = qemu_plugin_tb_n_insns(block);
        let Some(last) = instructions.checked_sub(1) else { return };
        let last = qemu_plugin_tb_get_insn(block, last);
        let counted = Box::leak(Box::new(Block {
            first: qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(block, 0)),
            end: qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last) as u64,
            instructions,
            runs: AtomicU64::new(0),
            jumps: AtomicU64::new(0),
        }));
        let data = std::ptr::from_mut(counted).cast();
        // 0: the callback reads no registers.
        qemu_plugin_register_vcpu_tb_exec_cb(block, executed, 0, data);
    }
}

/// A block was translated: from now on the emulator says whenever one of its instructions writes.
extern "C" fn translated_to_watch(_id: u64, block: *mut c_void) {
    // SAFETY: `block` is valid during this call, and its instructions are asked for within their number.
    unsafe {
        for index in 0..qemu_plugin_tb_n_insns(block) {
            let instruction = qemu_plugin_tb_get_insn(block, index);
            // 0: the callback reads no registers.
            qemu_plugin_register_vcpu_mem_cb(instruction, written, 0, WRITES, null_mut());
        }
    }
}

/// An instruction writes to `address`.
extern "C" fn written(_cpu: c_uint, _info: u32, address: u64, _data: *mut c_void) {
    if address < LOWEST.load(Ordering::Relaxed) && address >= LOW.load(Ordering::Relaxed) {
        LOWEST.store(address, Ordering::Relaxed);
        let Ok(mut settings) = SETTINGS.lock() else { return };
        let Some(Settings { out, .. }) = settings.as_mut() else { return };
        // A line that cannot be written is missing, and the reader has to have one.
        let _ = writeln!(out, "{address:x}").and_then(|()| out.flush());
    }
}

/// A block is about to run.
extern "C" fn executed(_cpu: c_uint, data: *mut c_void) {
    // SAFETY: `data` is a block that `translated` leaked, and nothing but atomics changes in it.
    let block: &'static Block = unsafe { &*data.cast_const().cast() };
    if block.first == BEGIN.load(Ordering::Relaxed) {
        LAST.store(null_mut(), Ordering::Relaxed);
        COUNTING.store(true, Ordering::Relaxed);
    } else if !COUNTING.load(Ordering::Relaxed) {
    } else if block.first == END.load(Ordering::Relaxed) {
        COUNTING.store(false, Ordering::Relaxed);
        write();
    } else {
        let runs = block.runs.load(Ordering::Relaxed);
        block.runs.store(runs + 1, Ordering::Relaxed);
        if runs == 0
            && let Ok(mut settings) = SETTINGS.lock()
            && let Some(settings) = settings.as_mut()
        {
            settings.touched.push(block);
        }
        let last = LAST.swap(data.cast(), Ordering::Relaxed);
        // SAFETY: null, or a block that `translated` leaked.
        if let Some(last) = unsafe { last.as_ref() }
            && last.end != block.first
        {
            last.jumps.store(last.jumps.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }
}

/// Writes a region and sets its counts back.
fn write() {
    let Ok(mut settings) = SETTINGS.lock() else { return };
    let Some(Settings { out, touched, .. }) = settings.as_mut() else { return };
    let mut text = String::from("region\n");
    for block in touched.drain(..) {
        let (runs, jumps) = (block.runs.swap(0, Ordering::Relaxed), block.jumps.swap(0, Ordering::Relaxed));
        text += &format!("{:x} {:x} {} {runs} {jumps}\n", block.first, block.end, block.instructions);
    }
    // A region that cannot be written is missing, and the reader counts regions.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
