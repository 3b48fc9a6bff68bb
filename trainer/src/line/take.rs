//! A recording session: frames become files, and everything that is missing is told.
//!
//! Samples that join each other stand in one file. Behind every gap, whoever made it, a new file begins: a window of
//! the training never spans what is missing.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Serialize;
use teff_link::{Account, Cause, Level, Message, Received, Samples, VERSION};

use super::store::{Kind, Part, Place};

/// Lines of a log that are kept.
const LOG_LINES: usize = 1000;

/// Who sends, as the first hello said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sender {
    /// The board's name.
    pub board: String,
    /// The sensor's name.
    pub sensor: String,
    /// Instants per 1000 seconds.
    pub rate_millihertz: u32,
    /// Samples per instant.
    pub axes: u8,
    /// The physical unit; empty where counts have none.
    pub unit: String,
    /// Counts per thousand units.
    pub counts_per_thousand_units: u32,
    /// Where the sensor saturates, in counts.
    pub full_scale: u16,
}

impl Sender {
    /// What a hello says.
    ///
    /// # Errors
    /// It is of another version, or what it says is no sensor.
    pub fn of(hello: &teff_link::Hello<'_>) -> Result<Sender> {
        if hello.version != VERSION {
            bail!(
                "board `{}` speaks version {} of the link, and this trainer version {VERSION}. Remedy: flash the board with a \
                 program of this checkout",
                hello.board,
                hello.version
            );
        }
        if hello.axes == 0 || hello.rate_millihertz == 0 {
            bail!(
                "board `{}` says that its sensor `{}` has {} axes and {} thousandths of a hertz",
                hello.board,
                hello.sensor,
                hello.axes,
                hello.rate_millihertz
            );
        }
        Ok(Sender {
            board: hello.board.to_string(),
            sensor: hello.sensor.to_string(),
            rate_millihertz: hello.rate_millihertz,
            axes: hello.axes,
            unit: hello.unit.to_string(),
            counts_per_thousand_units: hello.counts_per_thousand_units,
            full_scale: hello.full_scale,
        })
    }

    /// Instants per second.
    pub fn rate_hz(&self) -> f64 {
        f64::from(self.rate_millihertz) / 1000.0
    }

    /// Counts per unit.
    pub fn counts_per_unit(&self) -> f64 {
        f64::from(self.counts_per_thousand_units) / 1000.0
    }

    fn kind(&self) -> Kind {
        Kind { axes: self.axes.into(), rate_millihertz: self.rate_millihertz, unit: self.unit.clone() }
    }
}

/// A file of the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileOf {
    /// Its path.
    pub file: PathBuf,
    /// Instants that the board had measured before its first one.
    pub first_instant: u64,
    /// Instants in it.
    pub instants: u64,
    /// Why it does not join the file before: `start`, `sensor`, `queue`, `slow_line`, `line`, `restart`.
    pub begins_after: &'static str,
}

/// A stretch of time in which there was no line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cut {
    /// Instants that the board had measured when the last samples came.
    pub instant: u64,
    /// How long the line was gone; null where it did not come back.
    pub seconds: Option<f64>,
}

/// All that is missing, in instants unless it says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// By the sensor, where it knows how many.
    pub by_sensor: u64,
    /// By the queue between interrupt and task.
    pub by_queue: u64,
    /// By a board whose line to the host was too slow.
    pub by_slow_line: u64,
    /// Gaps of which the board does not know how many instants they have.
    pub gaps_of_unknown_length: u32,
    /// On the line: sent and not received.
    pub on_line: u64,
    /// Frames that were sent and not received.
    pub frames: u64,
    /// Pieces of the line that were no frame, and their bytes.
    pub damaged: u64,
    /// Bytes of them.
    pub damaged_bytes: u64,
    /// Of them, frames of a message that this trainer does not know.
    pub foreign: u64,
}

impl Lost {
    /// Whether every instant that was measured is there.
    pub fn is_nothing(&self) -> bool {
        self.by_sensor + self.by_queue + self.by_slow_line + self.on_line == 0
            && self.gaps_of_unknown_length == 0
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The board said that its recording is over.
    End,
    /// So many seconds were wanted.
    Seconds,
    /// Ctrl-C.
    Interrupted,
    /// The line was cut and did not come back.
    Cut,
    /// Nothing came any more.
    Silent,
    /// Another board, or another sensor, came onto the line.
    OtherSender,
}

/// The result of a session.
#[derive(Clone, Debug, Serialize)]
pub struct Session {
    /// Who sent.
    #[serde(flatten)]
    pub sender: Sender,
    /// The label of all files.
    pub label: String,
    /// The group of all files.
    pub group: String,
    /// The files, in the order of time.
    pub files: Vec<FileOf>,
    /// Instants in them.
    pub instants: u64,
    /// Seconds in them.
    pub seconds: f64,
    /// Why it ended.
    pub ending: Ending,
    /// What is missing.
    pub lost: Lost,
    /// How often the board began anew.
    pub restarts: u32,
    /// When there was no line.
    pub cuts: Vec<Cut>,
    /// What the board said for people, and of its sensor's health: the first lines of it.
    pub log: Vec<String>,
}

/// Whether a session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It does.
    GoOn,
    /// It is over.
    Stop(Ending),
}

/// A session that goes on.
#[derive(Debug)]
pub struct Take {
    place: Place,
    first: usize,
    label: String,
    /// Instants, lost ones included, after which it is over.
    wanted_seconds: Option<f64>,
    sender: Option<Sender>,
    account: Account,
    lost: Lost,
    part: Option<(Part, u64, &'static str)>,
    files: Vec<FileOf>,
    /// The first instant that was heard of, and the next one that is expected.
    begin: Option<u64>,
    expected: u64,
    /// Instants that are over before a restart of the board.
    before_restart: u64,
    /// Why the next samples do not join the last ones.
    apart: &'static str,
    cuts: Vec<Cut>,
    log: Vec<String>,
    damaged_before: u64,
}

impl Take {
    /// Nothing came yet.
    pub fn new(place: Place, label: &str, wanted_seconds: Option<f64>) -> Take {
        Take {
            first: place.next(),
            place,
            label: label.to_string(),
            wanted_seconds,
            sender: None,
            account: Account::new(),
            lost: Lost::default(),
            part: None,
            files: Vec::new(),
            begin: None,
            expected: 0,
            before_restart: 0,
            apart: "start",
            cuts: Vec::new(),
            log: Vec::new(),
            damaged_before: 0,
        }
    }

    /// Who sends, once it is known.
    pub fn sender(&self) -> Option<&Sender> {
        self.sender.as_ref()
    }

    /// Instants since the beginning, lost ones included.
    pub fn passed(&self) -> u64 {
        self.before_restart + self.begin.map_or(0, |begin| self.expected.saturating_sub(begin))
    }

    /// Pieces that were no frame before the first hello.
    pub fn damaged_before_hello(&self) -> u64 {
        self.damaged_before
    }

    /// Takes what came off the line. What comes before the first hello is not part of the session: nobody knows how it
    /// is meant.
    ///
    /// # Errors
    /// A board of another version, or a file that cannot be written.
    pub fn receive(&mut self, received: &Received<'_>) -> Result<Next> {
        let Received::Frame(frame) = received else {
            if self.sender.is_none() {
                self.damaged_before += 1;
            } else {
                self.account.note(received);
            }
            return Ok(Next::GoOn);
        };
        if let Message::Hello(hello) = &frame.message {
            let sender = Sender::of(hello)?;
            match &self.sender {
                None => self.sender = Some(sender),
                Some(known) if *known != sender => {
                    self.note_line(format!(
                        "another sender came onto the line: board `{}`, sensor `{}`",
                        sender.board, sender.sensor
                    ));
                    return Ok(Next::Stop(Ending::OtherSender));
                }
                Some(_) => {}
            }
        }
        if self.sender.is_none() {
            return Ok(Next::GoOn);
        }
        let restarts = self.account.restarts;
        let missing = self.account.note(received);
        let first_again = frame.sequence == 0 && self.begin.is_some() && self.expected > 0;
        let anew = self.account.restarts != restarts || first_again;
        if anew {
            self.restarted()?;
        }
        if missing > 0 {
            if !anew {
                self.split("line")?;
            }
            self.expected += missing;
        }
        match &frame.message {
            Message::Samples(samples) => self.samples(samples, missing),
            Message::Gap(gap) => {
                self.begin.get_or_insert(gap.instant);
                self.expected = gap.instant;
                let (count, cause) = match gap.cause {
                    Cause::Sensor => (&mut self.lost.by_sensor, "sensor"),
                    Cause::Queue => (&mut self.lost.by_queue, "queue"),
                    Cause::Line => (&mut self.lost.by_slow_line, "slow_line"),
                };
                match gap.lost {
                    Some(lost) => {
                        *count += u64::from(lost);
                        self.expected += u64::from(lost);
                    }
                    None => self.lost.gaps_of_unknown_length += 1,
                }
                self.split(cause)?;
                Ok(self.next())
            }
            Message::End(_) => Ok(Next::Stop(Ending::End)),
            Message::Log(log) => {
                let level = match log.level {
                    Level::Error => "error: ",
                    Level::Warning => "warning: ",
                    Level::Info => "",
                };
                self.note_line(format!("{level}{}", log.text));
                Ok(Next::GoOn)
            }
            Message::Health(health) => {
                let begins = if health.begins { "begins" } else { "is over" };
                self.note_line(format!("instant {}: {:?} {begins}", health.instant, health.condition));
                Ok(Next::GoOn)
            }
            Message::Hello(_) | Message::Metrics(_) | Message::Decision(_) | Message::Leading(_) => {
                Ok(Next::GoOn)
            }
        }
    }

    fn samples(&mut self, samples: &Samples<'_>, missing: u64) -> Result<Next> {
        let Some(sender) = self.sender.clone() else { return Ok(Next::GoOn) };
        if self.begin.is_none() {
            self.begin = Some(samples.instant);
        } else if samples.instant != self.expected && missing == 0 {
            // The board began anew, and the frames that would show it were lost.
            self.restarted()?;
            self.begin = Some(samples.instant);
        }
        self.expected = samples.instant;
        let axes = usize::from(sender.axes);
        let mut values: Vec<i16> = samples.iter().collect();
        values.truncate(values.len() / axes * axes);
        if let Some(wanted) = self.wanted_instants() {
            let left = wanted.saturating_sub(self.passed()) as usize;
            values.truncate(left.saturating_mul(axes));
        }
        if !values.is_empty() {
            let (part, ..) = match &mut self.part {
                Some(part) => part,
                None => {
                    let part = self.place.begin(&sender.kind())?;
                    self.part.insert((part, samples.instant, self.apart))
                }
            };
            part.append(&values)?;
        }
        self.expected += (values.len() / axes) as u64;
        Ok(self.next())
    }

    /// Whether enough has come.
    fn next(&self) -> Next {
        match self.wanted_instants() {
            Some(wanted) if self.passed() >= wanted => Next::Stop(Ending::Seconds),
            _ => Next::GoOn,
        }
    }

    /// Instants that are wanted, where a number of seconds is.
    pub fn wanted_instants(&self) -> Option<u64> {
        let rate = self.sender.as_ref()?.rate_hz();
        self.wanted_seconds.map(|seconds| (seconds * rate).round() as u64)
    }

    fn restarted(&mut self) -> Result<()> {
        self.before_restart = self.passed();
        (self.begin, self.expected) = (Some(0), 0);
        self.split("restart")
    }

    /// What comes now does not join what came before.
    fn split(&mut self, cause: &'static str) -> Result<()> {
        self.apart = cause;
        if let Some((part, first_instant, begins_after)) = self.part.take() {
            let instants = part.instants();
            let file = part.finish()?;
            self.files.push(FileOf { file, first_instant, instants, begins_after });
        }
        Ok(())
    }

    /// A line of the log.
    pub fn note_line(&mut self, line: String) {
        if self.log.len() < LOG_LINES {
            self.log.push(line);
        }
    }

    /// The line was cut.
    pub fn line_cut(&mut self) {
        self.cuts.push(Cut { instant: self.expected, seconds: None });
    }

    /// The line is back.
    pub fn line_back(&mut self, seconds: f64) {
        if let Some(cut) = self.cuts.last_mut() {
            cut.seconds = Some(seconds);
        }
    }

    /// Ends the session: the last file gets its name, and a log stands beside the files. Without a file there is none.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn finish(mut self, ending: Ending) -> Result<Option<Session>> {
        self.split("end")?;
        let Some(sender) = self.sender.clone() else { return Ok(None) };
        let account = &self.account;
        let instants: u64 = self.files.iter().map(|file| file.instants).sum();
        let lost = Lost {
            on_line: account.lost_on_line,
            frames: account.missing_frames,
            damaged: account.damaged,
            damaged_bytes: account.damaged_bytes,
            foreign: account.foreign,
            ..self.lost
        };
        let session = Session {
            seconds: instants as f64 / sender.rate_hz(),
            sender,
            label: self.label,
            group: self.place.group().to_string(),
            files: self.files,
            instants,
            ending,
            lost,
            restarts: account.restarts,
            cuts: self.cuts,
            log: self.log,
        };
        if !session.files.is_empty() {
            self.place.write_log(self.first, &format!("{}\n", serde_json::to_string_pretty(&session)?))?;
        }
        Ok(Some(session))
    }
}
