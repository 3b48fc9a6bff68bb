//! A bound of the stack that a program needs, from its machine code alone.
//!
//! The frames of all functions and who calls whom are read from the code. A function that is called by an address in a register
//! may be any whose address the program holds somewhere; so many such calls are counted one within the other as
//! `NESTED` says, and what were nested deeper would not be. Every interrupt that has a handler of its own is counted once, on top of all others, as each may interrupt
//! those of lower priority. A task of `embassy-executor` is polled by one executor and never within itself: each is counted
//! once. Panics and faults end the program and are left out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

use crate::Elf;

mod code;

use code::{Code, Surroundings};

/// Calls by an address in a register, one within the other, that are counted. An executor polls, and what it polls wakes: two. Text of an
/// error that names another error is written through four.
const NESTED: usize = 4;
/// What an exception pushes, with the floating-point registers and to an address of eight bytes.
const EXCEPTION_BYTES: u64 = 108;
/// Parts of the names of functions that do not return to a program that goes on.
const ENDS: [&str; 10] = [
    "panic",
    "unwrap_failed",
    "expect_failed",
    "index_fail",
    "len_fail",
    "mismatch_fail",
    "order_fail",
    "begin_unwind",
    "HardFault",
    "DefaultHandler",
];

/// A bound of a program's stack, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackBound {
    /// The main program, without tasks of an executor.
    pub main: u64,
    /// Each task of an executor.
    pub tasks: Vec<u64>,
    /// Each interrupt with a handler of its own, with what the processor pushes.
    pub interrupts: Vec<u64>,
}

impl StackBound {
    /// All of them, one on top of the other.
    pub fn total(&self) -> u64 {
        self.main + self.tasks.iter().chain(&self.interrupts).sum::<u64>()
    }
}

/// The bound of the program in an ELF file for a Cortex-M.
///
/// # Errors
/// The file cannot be read as such a program; or it calls itself, or moves its stack by what is not known, so that
/// there is no bound.
pub fn stack_bound(path: &Path) -> Result<StackBound> {
    let elf = Elf::read(path)?;
    let program = Program::read(&elf).with_context(|| format!("{}", path.display()))?;
    program.bound().with_context(|| format!("{}", path.display()))
}

/// A part of the program's memory.
struct Part {
    address: u32,
    bytes: Vec<u8>,
    is_code: bool,
}

/// Where code and constants lie.
struct Memory {
    parts: Vec<Part>,
    /// Addresses from which on there is code, or constants (`true`).
    marks: BTreeMap<u32, bool>,
}

impl Surroundings for Memory {
    fn word(&self, address: u32) -> Option<u32> {
        self.parts.iter().find_map(|part| {
            let at = address.checked_sub(part.address)? as usize;
            Some(u32::from_le_bytes(part.bytes.get(at..at + 4)?.try_into().ok()?))
        })
    }

    fn is_data(&self, address: u32) -> bool {
        self.marks.range(..=address).next_back().is_some_and(|(_, data)| *data)
    }
}

struct Function {
    name: String,
    code: Code,
    /// Behind its last byte.
    end: u32,
}

struct Program {
    /// By the address of the first instruction.
    functions: BTreeMap<u32, Function>,
    /// Functions whose address the program holds, but tasks.
    held: BTreeSet<u32>,
    tasks: BTreeSet<u32>,
    reset: u32,
    /// Of each interrupt; several may have one.
    interrupts: Vec<u32>,
}

impl Program {
    fn read(elf: &Elf) -> Result<Program> {
        let file = elf.file()?;
        let vectors = file.section_by_name(".vector_table").context("there is no vector table")?;
        let words: Vec<u32> =
            vectors.data()?.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let reset = words.get(1).context("the vector table is empty")? & !1;
        let kept = |kind| matches!(kind, SectionKind::Text | SectionKind::ReadOnlyData | SectionKind::Data);
        let parts =
            file.sections().filter(|section| section.address() > 0 || section.kind() == SectionKind::Text);
        let parts = parts.filter(|section| kept(section.kind()) && section.name() != Ok(".vector_table"));
        let part = |section: object::read::elf::ElfSection32<'_, '_, object::LittleEndian>| -> Result<Part> {
            let (address, bytes) = (section.address() as u32, section.data()?.to_vec());
            Ok(Part { address, bytes, is_code: section.kind() == SectionKind::Text })
        };
        let parts = parts.map(part).collect::<Result<Vec<Part>>>()?;
        let (mut marks, mut names) = (BTreeMap::new(), BTreeMap::new());
        for symbol in file.symbols() {
            let (Ok(name), address) = (symbol.name(), symbol.address() as u32) else { continue };
            match name.get(..2) {
                Some("$t") => {
                    marks.insert(address, false);
                }
                Some("$d") => {
                    marks.entry(address).or_insert(true);
                }
                _ if symbol.kind() == SymbolKind::Text => {
                    names.entry(address & !1).or_insert(name.to_string());
                }
                _ => {}
            }
        }
        let memory = Memory { parts, marks };
        let mut functions = BTreeMap::new();
        for part in memory.parts.iter().filter(|part| part.is_code) {
            let end = part.address + part.bytes.len() as u32;
            let starts: Vec<u32> = names.range(part.address..end).map(|(start, _)| *start).collect();
            for (n, &start) in starts.iter().enumerate() {
                let next = starts.get(n + 1).copied().unwrap_or(end);
                let range = (start - part.address) as usize..(next - part.address) as usize;
                let code = code::read(part.bytes.get(range).unwrap_or_default(), start, &memory);
                functions.insert(start, Function { name: names[&start].clone(), code, end: next });
            }
        }
        let function =
            |word: u32| (word & 1 == 1 && functions.contains_key(&(word & !1))).then_some(word & !1);
        let mut held: BTreeSet<u32> = functions
            .values()
            .flat_map(|function| function.code.constants.iter().copied())
            .filter_map(function)
            .collect();
        for part in &memory.parts {
            for address in
                (part.address.next_multiple_of(4)..part.address + part.bytes.len() as u32).step_by(4)
            {
                if part.is_code && !memory.is_data(address) {
                    continue;
                }
                held.extend(memory.word(address).and_then(function));
            }
        }
        let is_task = |address: &u32| functions[address].name.contains("TaskStorage");
        let (tasks, held) = held.into_iter().partition(is_task);
        let handlers = words.iter().skip(2).copied().filter_map(function);
        let interrupts =
            handlers.filter(|handler| !ends(&functions[handler].name) && *handler != reset).collect();
        Ok(Program { functions, held, tasks, reset, interrupts })
    }

    fn bound(&self) -> Result<StackBound> {
        let mut depths = Depths { program: self, known: HashMap::new(), under_way: HashSet::new() };
        let main = depths.of(self.reset, NESTED)?;
        let tasks = self.tasks.iter().map(|&task| depths.of(task, NESTED - 1)).collect::<Result<_>>()?;
        let interrupt = |&handler| Ok(depths.of(handler, NESTED)? + EXCEPTION_BYTES);
        let interrupts = self.interrupts.iter().map(interrupt).collect::<Result<_>>()?;
        Ok(StackBound { main, tasks, interrupts })
    }
}

fn ends(name: &str) -> bool {
    ENDS.iter().any(|part| name.contains(part))
}

/// How deep functions reach.
struct Depths<'p> {
    program: &'p Program,
    known: HashMap<(u32, usize), u64>,
    under_way: HashSet<(u32, usize)>,
}

impl Depths<'_> {
    /// Of the function at or around an address, with so many calls of addresses in registers within it.
    fn of(&mut self, address: u32, nested: usize) -> Result<u64> {
        let program = self.program;
        let around = program.functions.range(..=address).next_back();
        let around = around.filter(|(_, function)| address < function.end);
        let Some((&start, Function { name, code, .. })) = around else {
            bail!("there is no function at {address:#x}, which is called");
        };
        if let Some(&depth) = self.known.get(&(start, nested)) {
            return Ok(depth);
        }
        if ends(name) {
            return Ok(code.frame);
        }
        if let Some(at) = code.unknown {
            bail!("`{name}` moves its stack at {at:#x} by what is not known");
        }
        if !self.under_way.insert((start, nested)) {
            bail!("`{name}` calls itself, so that its stack has no bound");
        }
        let mut deepest = 0;
        for &called in &code.calls {
            deepest = deepest.max(self.of(called, nested)?);
        }
        if code.indirect && nested > 0 {
            for &held in &program.held {
                deepest = deepest.max(self.of(held, nested - 1)?);
            }
        }
        self.under_way.remove(&(start, nested));
        self.known.insert((start, nested), code.frame + deepest);
        Ok(code.frame + deepest)
    }
}
