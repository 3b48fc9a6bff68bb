//! How much flash and RAM a program takes, read from its ELF file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::elf::{SHF_ALLOC, SHF_WRITE};
use object::read::elf::{ElfFile32, ProgramHeader as _};
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, SymbolKind};

/// What a program occupies before it runs; the stack is not part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Code, constants and the initial values of variables.
    pub flash_bytes: u64,
    /// Variables, initialised or not.
    pub ram_bytes: u64,
}

/// A program for a board: a 32-bit little-endian ELF file.
#[derive(Debug)]
pub struct Elf {
    bytes: Vec<u8>,
}

/// A plan of version 1 begins with these bytes; its length follows (docs/plan-format.md).
pub(crate) const PLAN_START: [u8; 8] = [b'T', b'E', b'F', b'F', 2, 0, 128, 0];

impl Elf {
    /// Reads a file and checks that it is of the expected kind.
    pub fn read(path: &Path) -> Result<Elf> {
        let bytes = fs::read(path).with_context(|| format!("cannot read the program {}", path.display()))?;
        let elf = Elf { bytes };
        elf.file().with_context(|| format!("{} is not a 32-bit little-endian ELF file", path.display()))?;
        Ok(elf)
    }

    /// Adds up the sections that occupy memory on the device.
    pub fn sizes(&self) -> Result<Sizes> {
        let mut sizes = Sizes::default();
        for section in self.file()?.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            if !sh_flags.contains(SHF_ALLOC) {
                continue;
            }
            if section.kind() != SectionKind::UninitializedData {
                sizes.flash_bytes += section.size();
            }
            if sh_flags.contains(SHF_WRITE) {
                sizes.ram_bytes += section.size();
            }
        }
        Ok(sizes)
    }

    /// What lies at the addresses from `origin` on before the program starts, `bytes` of them: its parts in flash,
    /// at the addresses where they are stored.
    ///
    /// # Errors
    /// A part of the file is missing.
    pub fn stored(&self, origin: u64, bytes: u64) -> Result<Vec<(u64, Vec<u8>)>> {
        let file = self.file()?;
        let endian = file.endian();
        let mut parts = Vec::new();
        for header in file.elf_program_headers() {
            let address = u64::from(header.p_paddr(endian));
            let inside = address >= origin && address < origin.saturating_add(bytes);
            let data = header.data(endian, &*self.bytes).ok().context("the program's file is cut off")?;
            if header.p_type(endian) == object::elf::PT_LOAD && inside && !data.is_empty() {
                parts.push((address, data.to_vec()));
            }
        }
        Ok(parts)
    }

    /// Bytes in the range from `origin` on that the program occupies: what is stored there, and its variables.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn occupied(&self, origin: u64, bytes: u64) -> Result<u64> {
        let file = self.file()?;
        let endian = file.endian();
        let end = origin.saturating_add(bytes);
        let mut occupied = 0;
        for header in file.elf_program_headers() {
            if header.p_type(endian) != object::elf::PT_LOAD {
                continue;
            }
            let (stored, lives) = (u64::from(header.p_paddr(endian)), u64::from(header.p_vaddr(endian)));
            if (origin..end).contains(&stored) {
                occupied += u64::from(header.p_filesz(endian));
            }
            // Initial values of variables are stored in one place and live in another.
            let counted = (origin..end).contains(&stored) && header.p_filesz(endian) > 0;
            if (origin..end).contains(&lives) && !counted {
                occupied += u64::from(header.p_memsz(endian));
            }
        }
        Ok(occupied)
    }

    /// Names of the linked functions and variables, as the compiler wrote them.
    pub fn symbols(&self) -> Result<Vec<String>> {
        let names =
            self.file()?.symbols().filter_map(|symbol| symbol.name().ok().map(String::from)).collect();
        Ok(names)
    }

    /// Bytes of RAM that no variable takes: what the stack has, by the symbols of the linker script.
    ///
    /// # Errors
    /// The program has not these symbols.
    pub fn stack_room(&self) -> Result<u64> {
        let (low, high) = self.stack()?;
        Ok(high - low)
    }

    /// Where the free RAM begins, and where the stack does, which grows down.
    pub(crate) fn stack(&self) -> Result<(u64, u64)> {
        let (low, high) = (self.symbol("__sheap")?, self.symbol("_stack_start")?);
        if low > high {
            bail!("the program's variables reach beyond the beginning of its stack");
        }
        Ok((low, high))
    }

    fn symbol(&self, name: &str) -> Result<u64> {
        let file = self.file()?;
        let found = file.symbols().find(|symbol| symbol.name() == Ok(name));
        Ok(found.with_context(|| format!("the program has no symbol {name}"))?.address())
    }

    /// Address of the one function whose mangled name holds `part`.
    pub(crate) fn function(&self, part: &str) -> Result<u64> {
        let file = self.file()?;
        let mut found = file.symbols().filter(|symbol| {
            symbol.kind() == SymbolKind::Text && symbol.name().is_ok_and(|name| name.contains(part))
        });
        match (found.next(), found.next()) {
            // Its lowest bit says Thumb.
            (Some(symbol), None) => Ok(symbol.address() & !1),
            (None, _) => bail!("the program has no function {part}"),
            _ => bail!("the program has several functions {part}"),
        }
    }

    /// The bytes that lie at `address` when the program starts.
    pub(crate) fn bytes_at(&self, address: u64, len: u64) -> Result<Vec<u8>> {
        let file = self.file()?;
        let piece = file
            .sections()
            .find_map(|section| section.data_range(address, len).ok().flatten().map(<[u8]>::to_vec));
        piece.with_context(|| format!("the program has nothing at {address:#x}"))
    }

    /// Length of the first plan that is linked into the program, as its header states it.
    pub fn plan_bytes(&self) -> Option<u64> {
        self.plan_place().map(|(_, len)| len)
    }

    /// The first plan that is linked into the program.
    pub fn plan(&self) -> Option<&[u8]> {
        let (at, len) = self.plan_place()?;
        self.bytes.get(at..)?.get(..usize::try_from(len).ok()?)
    }

    fn plan_place(&self) -> Option<(usize, u64)> {
        let len = PLAN_START.len();
        let at = self.bytes.windows(len).position(|bytes| bytes == PLAN_START)?;
        let word = self.bytes.get(at + len..at + len + 4)?.try_into().ok()?;
        Some((at, u32::from_le_bytes(word).into()))
    }

    pub(crate) fn file(&self) -> Result<ElfFile32<'_, LittleEndian>> {
        Ok(ElfFile32::parse(&*self.bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linked_plan_is_found() {
        let mut elf = Elf { bytes: vec![0; 52] };
        assert_eq!(elf.plan_bytes(), None);
        elf.bytes.extend_from_slice(&PLAN_START);
        elf.bytes.extend_from_slice(&1234u32.to_le_bytes());
        assert_eq!(elf.plan_bytes(), Some(1234));
        assert_eq!(elf.plan(), None);
        elf.bytes.resize(52 + 1234 + 1, 7);
        assert_eq!(elf.plan().map(<[u8]>::len), Some(1234));
    }

    #[test]
    fn another_file_is_an_error() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = Elf::read(&path).unwrap_err();
        assert!(error.to_string().contains("Cargo.toml"), "{error:#}");
    }
}
