//! A board's frames, with every kind of fault on the line, and what stands on the disk afterwards.

use std::collections::BTreeMap;
use std::path::Path;

use teff_link::{Cause, End, Gap, Hello, MAX_FRAME_BYTES, Message, Receiver, Samples, VERSION};
use teff_trainer::line::store::Place;
use teff_trainer::line::take::{Cut, Ending, Lost, Next, Sender, Session, Take};

const HELLO: Hello<'static> = Hello {
    version: VERSION,
    board: "bench",
    sensor: "ADXL345",
    rate_millihertz: 100_000,
    axes: 2,
    unit: "g",
    counts_per_thousand_units: 256_000,
    full_scale: 4096,
};
const PER_FRAME: usize = 10;

/// What is on the line: a frame for each, bytes as they are sent.
fn board(instants: usize, gaps: &[(usize, Gap)]) -> Vec<Vec<u8>> {
    let mut sender = teff_link::Sender::new();
    let mut frames = Vec::new();
    let mut send = |message: Message<'_>| {
        let mut buffer = [0; MAX_FRAME_BYTES];
        frames.push(sender.frame(&message, &mut buffer).unwrap().to_vec());
    };
    send(Message::Hello(HELLO));
    let mut instant = 0;
    let mut sent_gaps = 0;
    for number in 0..instants / PER_FRAME {
        if let Some((_, gap)) = gaps.iter().find(|(at, _)| *at == number) {
            send(Message::Gap(Gap { instant, ..*gap }));
            instant += u64::from(gap.lost.unwrap_or(0));
            sent_gaps += 1;
        }
        if number % 10 == 9 {
            send(Message::Hello(HELLO));
        }
        let values: Vec<i16> = (0..PER_FRAME as u64).flat_map(|n| sample(instant + n)).collect();
        let mut bytes = [0; 4 * PER_FRAME];
        send(Message::Samples(Samples::new(instant, &values, &mut bytes).unwrap()));
        instant += PER_FRAME as u64;
    }
    send(Message::End(End { instants: instant, gaps: sent_gaps }));
    frames
}

/// What the sensor measures at an instant.
fn sample(instant: u64) -> [i16; 2] {
    [instant as i16, -(instant as i16)]
}

struct Bench {
    folder: tempfile::TempDir,
    take: Take,
    receiver: Receiver<MAX_FRAME_BYTES>,
    next: Next,
}

impl Bench {
    fn new(seconds: Option<f64>) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::find(folder.path(), "healthy", None).unwrap();
        let take = Take::new(place, "healthy", seconds);
        Bench { folder, take, receiver: Receiver::new(), next: Next::GoOn }
    }

    fn hear(&mut self, line: &[u8]) {
        // In pieces, as a port gives them.
        for piece in line.chunks(37) {
            let mut bytes = piece;
            while let Some(received) = self.receiver.next(&mut bytes) {
                if self.next == Next::GoOn {
                    self.next = self.take.receive(&received).unwrap();
                }
            }
        }
    }

    fn hear_all(&mut self, frames: &[Vec<u8>]) {
        frames.iter().for_each(|frame| self.hear(frame));
    }

    /// Ends it, and holds every sample on the disk against the sensor.
    fn finish(self) -> Session {
        let ending = match self.next {
            Next::Stop(ending) => ending,
            Next::GoOn => Ending::Interrupted,
        };
        let session = self.take.finish(ending).unwrap().unwrap();
        let mut named = BTreeMap::new();
        for file in &session.files {
            let text = std::fs::read_to_string(&file.file).unwrap();
            let mut lines = text.lines();
            assert_eq!(lines.next(), Some("axis0,axis1"));
            let mut count = 0;
            for (instant, line) in (file.first_instant..).zip(lines) {
                let [a, b] = sample(instant);
                assert_eq!(line, format!("{a},{b}"), "instant {instant} in {}", file.file.display());
                count += 1;
            }
            assert_eq!(count, file.instants);
            named.insert(file.file.clone(), ());
        }
        let left = files_in(&self.folder.path().join("healthy"));
        assert!(
            left.iter().all(|name| name.ends_with(".json") || named.keys().any(|path| path.ends_with(name)))
        );
        session
    }
}

fn files_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn stretches(session: &Session) -> Vec<(u64, u64, &'static str)> {
    session.files.iter().map(|file| (file.first_instant, file.instants, file.begins_after)).collect()
}

#[test]
fn a_whole_recording_is_one_file() {
    let mut bench = Bench::new(None);
    bench.hear_all(&board(500, &[]));
    let session = bench.finish();
    assert_eq!(stretches(&session), [(0, 500, "start")]);
    assert_eq!((session.ending, session.seconds), (Ending::End, 5.0));
    assert_eq!(session.lost, Lost::default());
    assert_eq!(session.sender, Sender::of(&HELLO).unwrap());
}

#[test]
fn so_many_seconds_are_recorded_to_the_instant() {
    let mut bench = Bench::new(Some(1.234));
    bench.hear_all(&board(500, &[]));
    let session = bench.finish();
    assert_eq!(stretches(&session), [(0, 123, "start")]);
    assert_eq!(session.ending, Ending::Seconds);
}

#[test]
fn gaps_of_the_board_part_the_files() {
    let gap = |lost, cause| Gap { instant: 0, lost, cause };
    let gaps =
        [(3, gap(Some(7), Cause::Queue)), (5, gap(Some(4), Cause::Sensor)), (9, gap(None, Cause::Sensor))];
    let mut bench = Bench::new(None);
    bench.hear_all(&board(200, &gaps));
    let session = bench.finish();
    assert_eq!(
        stretches(&session),
        [(0, 30, "start"), (37, 20, "queue"), (61, 40, "sensor"), (101, 110, "sensor")]
    );
    let expected = Lost { by_queue: 7, by_sensor: 4, gaps_of_unknown_length: 1, ..Lost::default() };
    assert_eq!(session.lost, expected);
}

/// Whichever frames are dropped: every instant is in a file or counted.
#[test]
fn dropped_frames_are_counted_to_the_instant() {
    let frames = board(200, &[]);
    for first in 1..frames.len() - 1 {
        for count in [1, 2, 5] {
            let mut left = frames.clone();
            left.drain(first..(first + count).min(frames.len() - 1));
            let mut bench = Bench::new(None);
            bench.hear_all(&left);
            let session = bench.finish();
            assert_eq!(session.instants + session.lost.on_line, 200, "without {count} from {first}");
            assert_eq!(session.lost.frames as usize, frames.len() - left.len());
            assert_eq!(session.ending, Ending::End);
        }
    }
}

#[test]
fn a_damaged_byte_costs_its_frame_and_is_told() {
    let frames = board(200, &[]);
    for (damaged, at) in [(4, 0), (4, 3), (4, 20), (4, 46), (11, 5), (12, 1)] {
        for bits in [1, 0x80, frames[damaged][at]] {
            let mut line = frames.clone();
            line[damaged][at] ^= bits;
            let mut bench = Bench::new(None);
            bench.hear_all(&line);
            let session = bench.finish();
            assert_eq!(session.instants + session.lost.on_line, 200, "byte {at} of {damaged}");
            // A zero that is no zero any more joins a frame to the next one, which has a zero of its own in front.
            assert!(session.lost.frames <= 1 && session.lost.on_line <= 10, "{:?}", session.lost);
        }
    }
}

#[test]
fn noise_is_survived() {
    let frames = board(1000, &[]);
    let mut seed = 9_u32;
    for _ in 0..50 {
        let mut bench = Bench::new(None);
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 8
        };
        bench.hear(&frames[0]);
        for frame in &frames[1..frames.len() - 1] {
            let mut frame = frame.clone();
            match noise() % 8 {
                0 => frame.truncate(noise() as usize % frame.len()),
                1 => frame.iter_mut().for_each(|byte| *byte ^= noise() as u8 & noise() as u8 & 16),
                2 => frame.extend((0..noise() % 700).map(|n| n as u8)),
                _ => {}
            }
            bench.hear(&frame);
        }
        bench.hear(&[0]);
        bench.hear(&frames[frames.len() - 1]);
        let session = bench.finish();
        assert_eq!(session.instants + session.lost.on_line, 1000);
        assert!(session.lost.damaged > 0);
    }
}

#[test]
fn a_cut_line_goes_on_where_it_can() {
    let frames = board(500, &[]);
    let mut bench = Bench::new(None);
    bench.hear_all(&frames[..20]);
    // In the middle of a frame.
    bench.hear(&frames[20][..30]);
    bench.take.line_cut();
    bench.receiver.reset();
    bench.take.line_back(2.5);
    bench.hear(&frames[24][10..]);
    bench.hear_all(&frames[25..]);
    let session = bench.finish();
    // 19 frames before the cut, one of them a hello.
    let (before, after) = (180, 500 - 220);
    assert_eq!(stretches(&session), [(0, before, "start"), (220, after, "line")]);
    assert_eq!(session.lost.on_line, 40);
    assert_eq!(session.cuts, [Cut { instant: before, seconds: Some(2.5) }]);
    assert_eq!(session.ending, Ending::End);
}

#[test]
fn a_board_that_begins_anew_begins_a_new_file() {
    let frames = board(300, &[]);
    let mut bench = Bench::new(Some(4.0));
    bench.hear_all(&frames[..12]);
    bench.hear_all(&frames);
    let again = bench.finish();
    assert_eq!(stretches(&again), [(0, 100, "start"), (0, 300, "restart")]);
    assert_eq!((again.restarts, again.lost.on_line, again.ending), (1, 0, Ending::Seconds));
    // Its first frames are lost, so that the numbers alone do not show it.
    let mut bench = Bench::new(None);
    bench.hear_all(&frames[..6]);
    bench.hear_all(&frames[4..]);
    let session = bench.finish();
    assert_eq!(stretches(&session)[0], (0, 50, "start"));
    assert_eq!(session.files[1].begins_after, "restart");
}

#[test]
fn what_comes_before_the_first_hello_is_left_out() {
    let frames = board(500, &[]);
    let mut bench = Bench::new(None);
    bench.hear(&frames[3][20..]);
    bench.hear_all(&frames[4..]);
    assert_eq!(bench.take.damaged_before_hello(), 1);
    let session = bench.finish();
    assert_eq!(stretches(&session), [(90, 410, "start")]);
    assert_eq!(session.lost, Lost::default());
}

#[test]
fn another_version_and_another_sensor_are_refused_by_name() {
    let mut buffer = [0; MAX_FRAME_BYTES];
    let mut bench = Bench::new(None);
    let newer = Message::Hello(Hello { version: 9, ..HELLO });
    let line = teff_link::Sender::new().frame(&newer, &mut buffer).unwrap().to_vec();
    let mut bytes = &line[..];
    let received = bench.receiver.next(&mut bytes).unwrap();
    let error = bench.take.receive(&received).unwrap_err().to_string();
    assert!(error.contains("`bench` speaks version 9"), "{error}");

    let mut bench = Bench::new(None);
    bench.hear_all(&board(500, &[])[..5]);
    let other = Message::Hello(Hello { sensor: "LIS3DH", ..HELLO });
    bench.hear(teff_link::Sender::new().frame(&other, &mut buffer).unwrap());
    let session = bench.finish();
    assert_eq!(session.ending, Ending::OtherSender);
    assert_eq!(stretches(&session), [(0, 40, "start")]);
    assert!(session.log[0].contains("LIS3DH"));
}
