//! From a built program to a board's flash, step by step: what is done is shown first and can be left at that.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::destination::{Destination, Way};
use crate::elf::PLAN_START;
use crate::firmware::board_folder;
use crate::memory_map::{self, Region};
use crate::uf2::{self, Piece};
use crate::{Elf, Emulator, Time, find_program, rpi3, stack_bound};

/// A program to be flashed, and where to.
#[derive(Clone, Debug)]
pub struct Delivery<'a> {
    /// The board.
    pub board: Destination,
    /// The program's ELF file; a step may write files of other formats beside it.
    pub elf: &'a Path,
    /// The plan of its model, for boards that read it from a file.
    pub plan: Option<&'a Path>,
    /// Where the drive of a boot loader is mounted; else it is looked for.
    pub drive: Option<&'a Path>,
    /// Where the boot partition of a memory card is mounted.
    pub card: Option<&'a Path>,
    /// `USER@HOST` of a Linux machine.
    pub host: Option<&'a str>,
}

/// One thing that is done.
#[derive(Debug)]
pub struct Step {
    /// What, in words.
    pub what: String,
    /// The command as it would be typed, where it is one.
    pub command: Option<String>,
    action: Action,
}

#[derive(Debug)]
enum Action {
    Run(Command),
    /// Writes an ELF file's flash contents as UF2.
    Uf2 {
        to: PathBuf,
        family: uf2::Family,
    },
    /// Writes an ELF file's memory as it is; a file of another system that is there gets the name `spare`.
    Image {
        to: PathBuf,
        spare: Option<PathBuf>,
    },
    Copy {
        from: PathBuf,
        to: PathBuf,
    },
    Write {
        to: PathBuf,
        text: &'static str,
    },
    /// Nothing: it is as it has to be.
    Leave,
}

impl Step {
    fn run(what: &str, command: Command) -> Step {
        Step { what: what.to_string(), command: Some(shown(&command)), action: Action::Run(command) }
    }

    fn new(what: String, action: Action) -> Step {
        Step { what, command: None, action }
    }
}

impl Delivery<'_> {
    /// What is missing here to flash that board, before anything is built.
    ///
    /// # Errors
    /// Names the program, the option or the drive that is missing, and the remedy.
    pub fn check(&self) -> Result<()> {
        let name = self.board.name;
        match self.board.way {
            Way::Emulated(board) => Emulator::find(board).map(|_| ()),
            Way::Probe { .. } if find_program("probe-rs").is_none() => bail!(
                "board {name} is flashed by `probe-rs`, which is not in PATH: install it with \
                 `cargo install probe-rs-tools --locked`, or see https://probe.rs"
            ),
            Way::Probe { .. } => Ok(()),
            Way::Drive { board_id, .. } => self.find_drive(board_id).map(|_| ()),
            Way::Linux { .. } => {
                for program in ["ssh", "scp"] {
                    if find_program(program).is_none() {
                        bail!(
                            "board {name} is flashed by `{program}`, which is not in PATH: install OpenSSH's client"
                        );
                    }
                }
                match self.host {
                    Some(_) => Ok(()),
                    None => {
                        bail!("board {name} is reached over the network: say where with --host USER@HOST")
                    }
                }
            }
            Way::Card { vendor, .. } => {
                let Some(card) = self.card else {
                    bail!(
                        "board {name} starts from a memory card: say where its boot partition is with --sd DIR"
                    );
                };
                if !card.is_dir() {
                    bail!(
                        "--sd {}: there is no such folder: mount the card's boot partition",
                        card.display()
                    );
                }
                match vendor.iter().find(|file| !card.join(file).is_file()) {
                    None => Ok(()),
                    Some(file) => bail!(
                        "--sd {}: `{file}` is not there, without which the board does not start: write Raspberry Pi OS to \
                         the card first, or copy {} from the folder `boot` of github.com/raspberrypi/firmware",
                        card.display(),
                        vendor.join(", ")
                    ),
                }
            }
        }
    }

    /// What is done with the built program, in order. What is not there yet is shown in angle brackets.
    ///
    /// # Errors
    /// The system has no absolute path for the program.
    pub fn steps(&self) -> Result<Vec<Step>> {
        let elf = self.elf;
        Ok(match self.board.way {
            Way::Emulated(_) => {
                vec![Step::new(
                    format!("keep it in {}, the emulated board's flash", elf.display()),
                    Action::Leave,
                )]
            }
            Way::Probe { chip } => {
                let mut download = Command::new("probe-rs");
                download.args(["download", "--chip", chip, "--verify"]).arg(elf);
                let mut reset = Command::new("probe-rs");
                reset.args(["reset", "--chip", chip]);
                vec![
                    Step::run("write it to the flash by the debug probe", download),
                    Step::run("start it", reset),
                ]
            }
            Way::Drive { family, board_id, .. } => {
                let file = elf.with_extension("uf2");
                let name = file.file_name().unwrap_or_default().to_os_string();
                let drive = self
                    .find_drive(board_id)
                    .unwrap_or_else(|_| PathBuf::from(format!("<drive of {board_id}>")));
                vec![
                    Step::new(
                        format!("write {} in the format of the boot loader", file.display()),
                        Action::Uf2 { to: file.clone(), family },
                    ),
                    Step::new(
                        format!("copy it to {}; the board then starts it", drive.display()),
                        Action::Copy { from: file, to: drive.join(name) },
                    ),
                ]
            }
            Way::Linux { folder, service } => {
                let host = self.host.unwrap_or("<USER@HOST>");
                // In the user's own folder there, where nobody else writes.
                let staged = "teff-model.teff";
                let mut copy = Command::new("scp");
                copy.arg(self.plan.unwrap_or(Path::new("<plan>"))).arg(format!("{host}:{staged}"));
                // The service's settings name the model in their first table.
                let name_it = r#"/^ *\[ *model *\]/,/^ *\[/ s|^ *path *=.*|path = "model.teff"|"#;
                let mut install = Command::new("ssh");
                install.args([
                    host,
                    &format!(
                        "sudo install -D -m 644 {staged} {folder}/model.teff && rm {staged} && sudo sed -i '{name_it}' \
                         {folder}/{service}.toml && {{ grep -q '^path = \"model.teff\"' {folder}/{service}.toml || \
                         {{ echo '{folder}/{service}.toml names no model: add [model] with path = \"model.teff\"'; exit 1; }}; }} && \
                         sudo systemctl restart {service} && systemctl is-active {service}"
                    ),
                ]);
                vec![
                    Step::run("copy the plan to the machine", copy),
                    Step::run(
                        "put it beside the service's settings, name it there, and start the service anew",
                        install,
                    ),
                ]
            }
            Way::Card { image, settings, .. } => {
                let card = self.card.unwrap_or(Path::new("<boot partition>"));
                let (image, config) = (card.join(image), card.join("config.txt"));
                let spare = spare_of(&image);
                let kept = spare
                    .as_ref()
                    .map(|spare| format!("; that of another system becomes {}", spare.display()));
                let what = format!("write {}{}", image.display(), kept.unwrap_or_default());
                let mut steps = vec![Step::new(what, Action::Image { to: image, spare })];
                steps.push(match fs::read_to_string(&config) {
                    Err(_) => Step::new(
                        format!("write {}", config.display()),
                        Action::Write { to: config, text: settings },
                    ),
                    Ok(text) => {
                        let missing = missing_lines(&text, settings);
                        let what = if missing.is_empty() {
                            format!("leave {} as it is", config.display())
                        } else {
                            format!(
                                "leave {} as it is, without which the board may not start: add to it {}",
                                config.display(),
                                missing.join(", ")
                            )
                        };
                        Step::new(what, Action::Leave)
                    }
                });
                steps
            }
        })
    }

    /// Does a step.
    ///
    /// # Errors
    /// What failed, with what a program said.
    pub fn perform(&self, step: &mut Step) -> Result<()> {
        match &mut step.action {
            Action::Leave => Ok(()),
            Action::Run(command) => {
                let program = command.get_program().to_string_lossy().into_owned();
                // What it says is for the person who waits, and results go to standard output.
                let output = command.stdin(Stdio::inherit()).stdout(Stdio::piped()).stderr(Stdio::inherit());
                let output = output.output().with_context(|| format!("cannot start `{program}`"))?;
                if !output.status.success() {
                    bail!(
                        "`{}` failed: {}{}",
                        step.command.as_deref().unwrap_or(&program),
                        output.status,
                        String::from_utf8_lossy(&output.stdout).trim_end()
                    );
                }
                Ok(())
            }
            Action::Uf2 { to, family } => write(to, &uf2::encode(&self.pieces()?, *family)?),
            Action::Image { to, spare } => {
                write_whole_beside(to, &rpi3::read_image(self.elf)?, spare.as_deref())
            }
            Action::Copy { from, to } => {
                let bytes = fs::read(&*from).with_context(|| format!("cannot read {}", from.display()))?;
                write(to, &bytes)
            }
            Action::Write { to, text } => write_whole(to, text.as_bytes()),
        }
    }

    /// What of the program stands in flash.
    fn pieces(&self) -> Result<Vec<Piece>> {
        let elf = Elf::read(self.elf)?;
        let mut pieces = Vec::new();
        for region in regions(&self.board)?.iter().filter(|region| !is_ram(region)) {
            for (address, bytes) in elf.stored(region.origin, region.bytes)? {
                let address = u32::try_from(address).context("the program lies beyond 4 GB")?;
                pieces.push(Piece { address, bytes });
            }
        }
        Ok(pieces)
    }

    /// The mounted drive of a boot loader.
    fn find_drive(&self, board_id: &str) -> Result<PathBuf> {
        if let Some(drive) = self.drive {
            if drive_is_of(drive, board_id) {
                return Ok(drive.to_path_buf());
            }
            bail!(
                "--drive {}: there is no INFO_UF2.TXT with `Board-ID: {board_id}`: hold the button BOOTSEL while the \
                 board is plugged in, and name the drive that appears",
                drive.display()
            );
        }
        for places in ["/media", "/run/media", "/mnt", "/Volumes"] {
            let mounted = folders_in(Path::new(places));
            // Below a folder for each user, or not.
            let deeper: Vec<PathBuf> = mounted.iter().flat_map(|folder| folders_in(folder)).collect();
            if let Some(found) = mounted.into_iter().chain(deeper).find(|drive| drive_is_of(drive, board_id))
            {
                return Ok(found);
            }
        }
        bail!(
            "no drive of the boot loader of {} ({board_id}) is mounted: hold the button BOOTSEL while the board is plugged \
             in, and mount the drive that appears, or name it with --drive DIR",
            self.board.name
        )
    }
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn drive_is_of(drive: &Path, board_id: &str) -> bool {
    let text = fs::read_to_string(drive.join("INFO_UF2.TXT")).unwrap_or_default();
    text.lines().any(|line| line.strip_prefix("Board-ID:").is_some_and(|id| id.trim() == board_id))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = fs::File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        // A drive may be gone as soon as its board has all of it.
        file.sync_all()
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Writes a file that is there whole or, where it cannot be written, as it was.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole_beside(path, bytes, None)
}

/// The same; what is there before gets the name `spare`, once the new file is whole.
fn write_whole_beside(path: &Path, bytes: &[u8], spare: Option<&Path>) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    let part = path.with_file_name(name);
    let placed = write(&part, bytes).and_then(|()| {
        spare.map_or(Ok(()), |spare| fs::rename(path, spare))?;
        Ok(fs::rename(&part, path)?)
    });
    placed.map_err(|error| {
        // What was written of it is of no use; that it cannot be removed changes nothing.
        let _ = fs::remove_file(&part);
        error.context(format!("cannot write {}", path.display()))
    })
}

/// Where an image is kept that is not ours: one without a model in it, such as the kernel of an operating system.
/// `None` where there is nothing to keep.
fn spare_of(image: &Path) -> Option<PathBuf> {
    let present = fs::read(image).ok()?;
    if present.windows(PLAN_START.len()).any(|bytes| bytes == PLAN_START) {
        return None;
    }
    let spare = |number: u32| image.with_extension(format!("img.{number}.saved"));
    (1..).map(spare).find(|path| !path.exists())
}

/// The settings that a `config.txt` lacks.
fn missing_lines<'a>(present: &str, settings: &'a str) -> Vec<&'a str> {
    let lines = settings.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter(|line| !present.lines().any(|there| there.trim() == *line)).collect()
}

/// How much of a region of memory is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The region's name in `memory.x`.
    pub region: String,
    /// Bytes that are needed.
    pub needed: u64,
    /// Bytes that there are.
    pub has: u64,
}

/// The regions of a board's `memory.x`; none for boards without one.
///
/// # Errors
/// The board has no folder, or the file cannot be read as a memory map.
pub fn regions(board: &Destination) -> Result<Vec<Region>> {
    let path = board_folder(board.name)?.join("memory.x");
    if path.is_file() { memory_map::read(&path) } else { Ok(Vec::new()) }
}

/// Whether variables live in the region.
pub fn is_ram(region: &Region) -> bool {
    region.name.contains("RAM") || region.name.contains("TCM")
}

/// Checks a built program against the board's memory: each of its parts lies in a region, and its first two words are
/// a stack in RAM and code in flash. Returns what it occupies of each.
///
/// # Errors
/// Names what does not fit.
pub fn check_program(board: &Destination, elf: &Path) -> Result<Vec<Use>> {
    let regions = regions(board)?;
    if regions.is_empty() {
        return Ok(Vec::new());
    }
    let program = Elf::read(elf)?;
    let mut uses = Vec::new();
    for region in &regions {
        let needed = program.occupied(region.origin, region.bytes)?;
        uses.push(Use { region: region.name.clone(), needed, has: region.bytes });
    }
    if board.target.starts_with("thumb") {
        let (needed, has) = (stack_bound(elf)?.total(), program.stack_room()?);
        uses.push(Use { region: "stack".to_string(), needed, has });
    }
    // An emulated board pends its interrupt itself, where little of the stack is in use.
    let is_enough = |part: &&Use| {
        part.needed <= part.has || (part.region == "stack" && matches!(board.way, Way::Emulated(_)))
    };
    if let Some(full) = uses.iter().find(|part| !is_enough(part)) {
        bail!("{} needs {} bytes of {} and has {}", elf.display(), full.needed, full.region, full.has);
    }
    let inside = |address: u64, ram: bool| {
        let mut regions = regions.iter().filter(|region| is_ram(region) == ram);
        // A stack that is empty points behind the last byte.
        regions.any(|region| address >= region.origin && address <= region.origin + region.bytes)
    };
    let Some(flash) = regions.iter().find(|region| region.name == "FLASH") else { return Ok(uses) };
    let first = program.bytes_at(flash.origin, 8)?;
    let word =
        |at: usize| first.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let (stack, start) = (word(0).unwrap_or(0).into(), word(4).unwrap_or(0).into());
    if !inside(stack, true) || !inside(start, false) {
        bail!(
            "{} does not begin with a vector table: a stack at {stack:#x} and code at {start:#x} are not in the board's memory",
            elf.display()
        );
    }
    Ok(uses)
}

/// What the linker says when a program is too large, in words; `None` where it says something else.
pub fn too_large(said: &str) -> Option<String> {
    // `section '.data' will not fit in region 'RAM': overflowed by 1234 bytes`, by both linkers.
    let line = said.lines().find(|line| line.contains("will not fit in region"))?;
    let region = line.split('\'').nth(3).or_else(|| line.split('`').nth(2))?;
    let over = line.split("overflowed by ").nth(1).and_then(|rest| rest.split(' ').next())?;
    Some(format!("the program is {over} bytes too large for {region}"))
}

/// The command that reads the logs of a running board by a debug probe, and decodes them with its program: a line for each, the level
/// in front.
pub fn logs_command(chip: &str, elf: &Path) -> Command {
    let mut command = Command::new("probe-rs");
    // <https://defmt.ferrous-systems.com/custom-log-output>
    command.args(["attach", "--chip", chip, "--log-format", "{L} {s}"]).arg(elf);
    command
}

/// The emulator's command for a program, as a person would type it; its line is a pseudo-terminal that the emulator names.
///
/// # Errors
/// The emulator is missing.
pub fn emulator_command(board: &crate::Board, elf: &Path) -> Result<String> {
    let command = Emulator::find(board)?.live_command(elf, None, Time::Real, "LINE");
    let shown =
        shown(&command).replace("-chardev serial,id=line,path=LINE -serial chardev:line", "-serial pty");
    // It is in PATH.
    let (_, arguments) = shown.split_once(' ').unwrap_or_default();
    Ok(format!("{} {arguments}", board.emulator))
}

/// A command as it would be typed into a shell.
pub fn shown(command: &Command) -> String {
    let mut words = Vec::new();
    if let Some(folder) = command.get_current_dir() {
        words.extend(["cd".to_string(), quoted(&folder.to_string_lossy()), "&&".to_string()]);
    }
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!("{}={}", name.to_string_lossy(), quoted(&value.to_string_lossy())));
        }
    }
    words.push(quoted(&command.get_program().to_string_lossy()));
    words.extend(command.get_args().map(|word| quoted(&word.to_string_lossy())));
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery<'a>(board: &str, elf: &'a Path) -> Delivery<'a> {
        let board = Destination::find(board).unwrap();
        Delivery { board, elf, plan: None, drive: None, card: None, host: None }
    }

    #[test]
    fn a_drive_is_known_by_its_board() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("INFO_UF2.TXT"),
            "UF2 Bootloader v3.0\r\nModel: X\r\nBoard-ID: RPI-RP2\r\n",
        )
        .unwrap();
        let pico = Delivery { drive: Some(folder.path()), ..delivery("rpi-pico", Path::new("x.elf")) };
        pico.check().unwrap();
        let steps = pico.steps().unwrap();
        assert!(steps[1].what.contains(&folder.path().display().to_string()), "{steps:?}");
        let other = Delivery { drive: Some(folder.path()), ..delivery("rpi-pico-2", Path::new("x.elf")) };
        let error = other.check().unwrap_err().to_string();
        assert!(error.contains("RP2350") && error.contains("BOOTSEL"), "{error}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |board: &str| delivery(board, Path::new("x.elf")).check().unwrap_err().to_string();
        assert!(error("rpi-linux").contains("--host USER@HOST") || error("rpi-linux").contains("OpenSSH"));
        assert!(error("rpi3-bare").contains("--sd DIR"));
        let folder = tempfile::tempdir().unwrap();
        let card = Delivery { card: Some(folder.path()), ..delivery("rpi3-bare", Path::new("x.elf")) };
        assert!(card.check().unwrap_err().to_string().contains("bootcode.bin"));
    }

    #[test]
    fn a_card_keeps_what_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let words = || {
            let card = Delivery { card: Some(folder.path()), ..delivery("rpi3-bare", Path::new("x.elf")) };
            card.steps().unwrap().into_iter().map(|step| step.what).collect::<Vec<_>>()
        };
        assert_eq!(words().len(), 2);
        fs::write(at("kernel8.img"), b"a kernel").unwrap();
        fs::write(at("kernel8.img.1.saved"), b"an older one").unwrap();
        fs::write(at("config.txt"), "arm_64bit=1\r\nkernel=kernel8.img \ndtoverlay=disable-bt\n").unwrap();
        let steps = words();
        assert!(steps[0].ends_with("kernel8.img.2.saved"), "{steps:?}");
        assert!(steps[1].ends_with("add to it enable_uart=1, init_uart_clock=48000000"), "{steps:?}");
        fs::write(at("kernel8.img"), [b"with a plan: ", &PLAN_START[..]].concat()).unwrap();
        fs::write(at("config.txt"), format!("# mine\n{}", rpi3::CONFIG)).unwrap();
        let steps = words();
        assert!(steps.len() == 2 && steps[1].ends_with("config.txt as it is"), "{steps:?}");
    }

    #[test]
    fn a_file_that_cannot_be_written_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel8.img");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // In the way of the file that is written first.
        fs::create_dir(folder.path().join("kernel8.img.part")).unwrap();
        assert!(format!("{:#}", write_whole(&path, b"three").unwrap_err()).contains("kernel8.img"));
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }

    #[test]
    fn commands_are_shown_as_they_would_be_typed() {
        let steps = delivery("nucleo-f446re", Path::new("a b.elf")).steps().unwrap();
        let commands: Vec<_> = steps.iter().filter_map(|step| step.command.as_deref()).collect();
        let expected = [
            "probe-rs download --chip STM32F446RETx --verify 'a b.elf'",
            "probe-rs reset --chip STM32F446RETx",
        ];
        assert_eq!(commands, expected);
        let mut command = Command::new("cargo");
        command.current_dir("/x").env("TEFF_MODEL", "it's").env_remove("CARGO").arg("build");
        assert_eq!(shown(&command), "cd /x && TEFF_MODEL='it'\\''s' cargo build");
    }

    #[test]
    fn the_linkers_words_are_read() {
        let lld = "rust-lld: error: section '.bss' will not fit in region 'RAM': overflowed by 1234 bytes\n";
        assert_eq!(too_large(lld).unwrap(), "the program is 1234 bytes too large for RAM");
        assert_eq!(too_large("error: could not compile"), None);
    }
}
