//! Decides on what comes over the serial line, and prints the decisions on it.
//!
//! The interrupt of the line fills a queue of bytes; the main loop makes frames, samples, windows and
//! decisions of them. The host sends what a board's `record` program sends (`docs/link.md`).
#![no_std]
#![cfg(feature = "model")]

mod line;
mod machine;

use core::cell::RefCell;
use core::fmt::{self, Write};

use arm_pl011_uart::{Error, Uart};
use critical_section::Mutex;
use heapless::spsc::{Producer, Queue};
use static_cell::ConstStaticCell;
use teff::{Arena, Session, StaticModel};
use teff_app::needs::Needs;
use teff_app::pipeline::{Pipeline, StartError, Step, input_bytes, stages, workspace_words};
use teff_app::queue::Gap;
use teff_app::sensor::rescaled::Rescaled;
use teff_app::sensor::{Format, Sensor};

use line::{Event, Line};

teff::include_model!(Decider, concat!(env!("OUT_DIR"), "/model.teff"));

const CLASSES: usize = 256;
const MEMORY: usize = 64;
/// Bytes between the interrupt and the main loop: 700 ms of the line, which is longer than any inference.
const BYTES: usize = 65_536;
/// Samples that are read at once.
const SAMPLES: usize = 256;
/// Predicted instructions of one step of an inference. Interrupts go on meanwhile.
const BUDGET: u32 = 1_000_000;

type Deciding = Pipeline<'static, Decider, CLASSES, MEMORY, { stages(Decider::PLAN.as_bytes()) }>;

static ARENA: ConstStaticCell<Arena<{ Decider::ARENA_BYTES }>> = ConstStaticCell::new(Arena::new());
static WORKSPACE: ConstStaticCell<[u32; workspace_words(Decider::PLAN.as_bytes())]> =
    ConstStaticCell::new([0; workspace_words(Decider::PLAN.as_bytes())]);
static REFERENCE: ConstStaticCell<[i8; input_bytes(Decider::PLAN.as_bytes())]> =
    ConstStaticCell::new([0; input_bytes(Decider::PLAN.as_bytes())]);
static QUEUE: ConstStaticCell<Queue<u8, BYTES>> = ConstStaticCell::new(Queue::new());

/// What the interrupt and the main loop share.
struct Port {
    uart: Uart<'static>,
    intake: Producer<'static, u8>,
    /// Bytes that the line or the queue lost, at least.
    lost: u32,
}

static PORT: Mutex<RefCell<Option<Port>>> = Mutex::new(RefCell::new(None));

/// Bytes came.
extern "C" fn interrupt() {
    critical_section::with(|token| {
        let mut port = PORT.borrow_ref_mut(token);
        let Some(port) = port.as_mut() else { return };
        loop {
            let lost = match port.uart.read_word() {
                Ok(None) => break,
                Ok(Some(byte)) => port.intake.enqueue(byte).is_err(),
                // A damaged byte damages its frame, which is counted there.
                Err(Error::Break | Error::Parity | Error::Framing) => false,
                Err(_) => true,
            };
            port.lost = port.lost.wrapping_add(u32::from(lost));
        }
    });
}

/// Text to the line, a byte at a time, so that bytes can come meanwhile.
struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let mut sent = false;
            while !sent {
                sent = critical_section::with(|token| {
                    let mut port = PORT.borrow_ref_mut(token);
                    let Some(port) = port.as_mut() else { return true };
                    let room = !port.uart.is_tx_fifo_full();
                    if room {
                        port.uart.write_word(byte);
                    }
                    room
                });
            }
        }
        Ok(())
    }
}

/// The first core comes here.
extern "C" fn main() -> ! {
    let mut out = Console;
    if let Some(why) = run(&mut out) {
        // The line takes every byte.
        let _ = writeln!(out, "error: {why}; reset the board");
    }
    loop {
        machine::wait();
    }
}

/// Why the program cannot go on.
enum Why {
    NoLine,
    Twice,
    Version(u16),
    OtherFormat,
    Start(StartError<'static>),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::NoLine => f.write_str("the serial line cannot be set"),
            Why::Twice => f.write_str("the program's memory is in use already"),
            Why::Version(version) => write!(
                f,
                "the host speaks version {version} of the link, this program version {}",
                teff_link::VERSION
            ),
            Why::OtherFormat => f.write_str("the host's samples are of another format now"),
            Why::Start(error) => error.fmt(f),
        }
    }
}

fn run(out: &mut Console) -> Option<Why> {
    let Some(uart) = machine::open_line() else { return Some(Why::NoLine) };
    let Some(queue) = QUEUE.try_take() else { return Some(Why::Twice) };
    let (intake, bytes) = queue.split();
    critical_section::with(|token| *PORT.borrow_ref_mut(token) = Some(Port { uart, intake, lost: 0 }));
    let (Some(arena), Some(workspace), Some(reference)) =
        (ARENA.try_take(), WORKSPACE.try_take(), REFERENCE.try_take())
    else {
        return Some(Why::Twice);
    };
    let session = match Session::<Decider>::new(arena) {
        Ok(session) => session,
        Err(why) => return Some(Why::Start(StartError::Model(why))),
    };
    let needs = match Needs::read(session.model()) {
        Ok(needs) => needs,
        Err(why) => return Some(Why::Start(why)),
    };
    let mut line = Line::new(bytes, needs.unit.unwrap_or(""));
    // A failure to print has nowhere to be printed.
    let _ = writeln!(out, "ready");
    let format = loop {
        match line.poll() {
            Some(Event::Format(format)) => break format,
            Some(Event::Version(version)) => return Some(Why::Version(version)),
            Some(Event::End) => {}
            None => {
                let mut samples = [0; SAMPLES];
                // Samples of which nobody said what they are.
                let _ = line.read(&mut samples);
                sleep(&line);
            }
        }
    };
    let sensor = match needs.fit(line) {
        Ok(sensor) => sensor,
        Err(why) => return Some(Why::Start(why)),
    };
    match Pipeline::with_reference(session, workspace, reference, sensor.format()) {
        Ok(pipeline) => Some(decide(pipeline, sensor, format, out)),
        Err(why) => Some(Why::Start(why)),
    }
}

/// Sleeps until something comes. With interrupts off between the look and the sleep, which one that waits ends,
/// nothing that comes between the two is slept through.
fn sleep(line: &Line) {
    critical_section::with(|_| {
        if !line.has_bytes() {
            machine::wait();
        }
    });
}

/// Decides until the host says something that ends it.
fn decide(mut pipeline: Deciding, mut sensor: Rescaled<Line>, format: Format, out: &mut Console) -> Why {
    let axes = usize::from(format.axes).max(1);
    loop {
        match sensor.sensor_mut().poll() {
            Some(Event::Format(now)) if now == format => {}
            Some(Event::Format(_)) => return Why::OtherFormat,
            Some(Event::Version(version)) => return Why::Version(version),
            Some(Event::End) => report(&pipeline, sensor.sensor_mut(), out),
            None => {}
        }
        let gap = sensor.sensor_mut().take_gap();
        if gap != Gap::None {
            pipeline.gap(gap);
        }
        let mut samples = [0; SAMPLES];
        let Ok(instants) = sensor.read(&mut samples);
        if instants == 0 {
            sleep(sensor.sensor_mut());
        }
        for instant in samples.chunks_exact(axes).take(instants) {
            pipeline.push(instant);
            loop {
                match pipeline.step(BUDGET) {
                    Step::Idle => break,
                    Step::Working | Step::Inferred(None) => {}
                    Step::Inferred(Some(event)) => {
                        let milliseconds =
                            pipeline.heard() * 1_000_000 / u64::from(format.rate_millihertz.max(1));
                        let (label, percent) =
                            (pipeline.label(event.class), u32::from(event.score) * 100 / 256);
                        let _ = writeln!(out, "{milliseconds:>6} ms  {label}  {percent} %");
                    }
                }
            }
        }
    }
}

/// What came of a recording.
fn report(pipeline: &Deciding, line: &Line, out: &mut Console) {
    let counts = pipeline.counts();
    let lost_bytes =
        critical_section::with(|token| PORT.borrow_ref(token).as_ref().map_or(0, |port| port.lost));
    let account = line.account();
    let _ = writeln!(out, "{} instants, {} inferences", counts.instants, counts.inferences);
    let _ = writeln!(
        out,
        "{} windows missed, {} gaps, {} instants lost, {} frames missing, {} damaged, {} bytes overrun",
        counts.missed, counts.gaps, counts.lost, account.missing_frames, account.damaged, lost_bytes,
    );
    let _ = writeln!(out, "end");
}
