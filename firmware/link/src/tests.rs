//! Round trips, damage of every kind, and bytes that are nothing at all.

use std::string::{String, ToString};
use std::vec::Vec;

use super::*;

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

const HELLO: Hello<'static> = Hello {
    version: VERSION,
    board: "mps2-an386",
    sensor: "ADXL345",
    rate_millihertz: 1_600_000,
    axes: 3,
    unit: "g",
    counts_per_thousand_units: 256_000,
    full_scale: 4096,
};

/// Instants of each samples frame.
const PER_FRAME: usize = 20;

/// A recording as it would be sent: hello, `frames` of samples with one gap among them, end. Returns
/// where each frame begins.
fn recording(frames: usize) -> (Vec<u8>, Vec<usize>) {
    let (mut sender, mut line, mut begins) = (Sender::new(), Vec::new(), Vec::new());
    let mut instant = 0;
    let mut send = |message: Message<'_>, line: &mut Vec<u8>| {
        let mut buffer = [0; MAX_FRAME_BYTES];
        begins.push(line.len());
        line.extend_from_slice(sender.frame(&message, &mut buffer).unwrap());
    };
    send(Message::Hello(HELLO), &mut line);
    for number in 0..frames {
        if number == frames / 2 {
            let gap = Gap { instant, lost: Some(7), cause: Cause::Queue };
            send(Message::Gap(gap), &mut line);
            instant += 7;
        }
        let samples: Vec<i16> = (0..PER_FRAME * 3).map(|at| (number * 60 + at) as i16 * 3).collect();
        let mut bytes = [0; PER_FRAME * 6];
        send(Message::Samples(Samples::new(instant, &samples, &mut bytes).unwrap()), &mut line);
        instant += PER_FRAME as u64;
    }
    send(Message::End(End { instants: instant, gaps: 1 }), &mut line);
    (line, begins)
}

fn account(line: &[u8], piece: usize) -> Account {
    let mut receiver = Receiver::<MAX_FRAME_BYTES>::new();
    let mut account = Account::new();
    for piece in line.chunks(piece) {
        let mut bytes = piece;
        while let Some(received) = receiver.next(&mut bytes) {
            account.note(&received);
        }
    }
    account
}

fn every_message() -> Vec<Message<'static>> {
    let metrics = Metrics { instants: 1 << 40, inferences: 3, inference_us: u32::MAX, ..Metrics::default() };
    let decision = Decision { instant: 70, class: 3, label: "imbalance", score: 196 };
    std::vec![
        Message::Hello(HELLO),
        Message::Samples(Samples { instant: u64::MAX, bytes: &[0, 0, 255, 255, 0, 128] }),
        Message::Gap(Gap { instant: 0, lost: None, cause: Cause::Sensor }),
        Message::Gap(Gap { instant: 9, lost: Some(u32::MAX), cause: Cause::Line }),
        Message::End(End { instants: 0, gaps: 0 }),
        Message::Log(Log { level: Level::Warning, text: "zero \0 and more: ü" }),
        Message::Metrics(metrics),
        Message::Decision(decision),
        Message::Health(Health { instant: 4, condition: Condition::Silent, begins: true }),
        Message::Leading(Decision { class: 0, label: "", score: u16::MAX, ..decision }),
    ]
}

#[test]
fn every_message_comes_back() {
    let mut sender = Sender::new();
    let mut receiver = Receiver::<MAX_FRAME_BYTES>::new();
    for (number, message) in every_message().into_iter().enumerate() {
        let mut buffer = [0; MAX_FRAME_BYTES];
        let line = sender.frame(&message, &mut buffer).unwrap();
        assert_eq!((line[0], line[line.len() - 1]), (0, 0));
        assert!(line[1..line.len() - 1].iter().all(|byte| *byte != 0));
        let mut bytes = line;
        let received = receiver.next(&mut bytes);
        assert_eq!(received, Some(Received::Frame(Frame { sequence: number as u32, message })));
        assert_eq!(receiver.next(&mut bytes), None);
    }
}

/// The bytes that `docs/link.md` shows.
#[test]
fn a_frame_has_the_bytes_of_the_page() {
    let mut sender = Sender::new();
    let mut buffer = [0; MAX_FRAME_BYTES];
    let mut bytes = [0; 4];
    let samples = Samples::new(300, &[-1, 2], &mut bytes).unwrap();
    let line = sender.frame(&Message::Samples(samples), &mut buffer).unwrap();
    let shown: Vec<String> = line.iter().map(|byte| std::format!("{byte:02x}")).collect();
    let page = include_str!("../../../docs/link.md");
    assert!(page.contains(&shown.join(" ")), "{}", shown.join(" "));
}

#[test]
fn a_recording_is_whole_however_it_is_cut() {
    let (line, begins) = recording(30);
    for piece in [1, 2, 3, 7, 64, 511, line.len()] {
        let account = account(&line, piece);
        assert_eq!(account.frames as usize, begins.len());
        assert_eq!(account.instants as usize, 30 * PER_FRAME);
        assert_eq!((account.lost_by_sender, account.lost_on_line, account.damaged), (7, 0, 0));
        assert!(account.ended);
    }
}

/// All instants are accounted for, whichever frames are missing.
#[test]
fn missing_frames_are_counted_to_the_instant() {
    let (line, begins) = recording(12);
    for first in 1..begins.len() {
        for last in first..begins.len() {
            let mut cut = line[..begins[first]].to_vec();
            let end = begins.get(last + 1).copied();
            cut.extend_from_slice(&line[end.unwrap_or(line.len())..]);
            let account = account(&cut, 50);
            let dropped = (last - first + 1) as u64;
            if end.is_none() {
                assert!(!account.ended);
                continue;
            }
            assert_eq!(account.missing_frames, dropped);
            let all = account.instants + account.lost_by_sender + account.lost_on_line;
            assert_eq!(all as usize, 12 * PER_FRAME + 7, "without {first} to {last}");
        }
    }
}

/// A damaged byte costs its frame, and at most the next one; what is lost is counted.
#[test]
fn a_damaged_byte_costs_one_frame() {
    let (line, begins) = recording(6);
    let last = *begins.last().unwrap();
    for at in begins[1]..last {
        for damage in [1, 0x80, line[at]] {
            let mut damaged = line.clone();
            damaged[at] ^= damage;
            let account = account(&damaged, 33);
            assert_eq!(account.frames + account.missing_frames, begins.len() as u64, "byte {at}");
            assert!(account.missing_frames <= 1, "byte {at}: {account:?}");
            let all = account.instants + account.lost_by_sender + account.lost_on_line;
            assert_eq!(all as usize, 6 * PER_FRAME + 7, "byte {at}");
        }
    }
}

#[test]
fn bytes_lost_or_added_anywhere_are_survived() {
    let (line, begins) = recording(20);
    let mut random = Random(7);
    for _ in 0..2000 {
        let mut damaged = line.clone();
        let from = random.below(damaged.len());
        let to = (from + random.below(200)).min(damaged.len());
        if random.below(2) == 0 {
            damaged.drain(from..to);
        } else {
            let noise: Vec<u8> = (0..random.below(600)).map(|_| random.next() as u8).collect();
            damaged.splice(from..to, noise);
        }
        let account = account(&damaged, 1 + random.below(100));
        let last_came = account.ended;
        if last_came && from >= begins[1] {
            assert_eq!(account.frames + account.missing_frames, begins.len() as u64);
            let all = account.instants + account.lost_by_sender + account.lost_on_line;
            assert_eq!(all as usize, 20 * PER_FRAME + 7);
        }
    }
}

/// Bytes that nobody sent: with zeros thickly sown, and as the inside of frames with a right checksum.
#[test]
fn hostile_bytes_do_no_harm() {
    let mut random = Random(99);
    let mut receiver = Receiver::<64>::new();
    let mut account = Account::new();
    for round in 0..20_000 {
        let mut bytes: Vec<u8> = (0..random.below(90)).map(|_| random.next() as u8).collect();
        if round % 3 == 0 {
            bytes.iter_mut().for_each(|byte| *byte &= 7);
        }
        let mut rest = &bytes[..];
        while let Some(received) = receiver.next(&mut rest) {
            account.note(&received);
        }
        assert!(rest.is_empty());
    }
    assert!(account.damaged > 1000);

    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut receiver = Receiver::<MAX_FRAME_BYTES>::new();
    let mut foreign = 0;
    for _ in 0..50_000 {
        let mut plain: Vec<u8> = (0..random.below(40)).map(|_| random.next() as u8).collect();
        if let Some(kind) = plain.get_mut(1) {
            *kind &= 15;
        }
        plain.extend_from_slice(&crc.checksum(&plain).to_le_bytes());
        let mut wrapped = [0; 64];
        let len = cobs::encode(&plain, &mut wrapped);
        wrapped[len] = 0;
        let mut rest = &wrapped[..=len];
        let received = receiver.next(&mut rest).unwrap();
        match received {
            Received::Damaged { fault, .. } => {
                assert_eq!(fault, Fault::Message);
                foreign += 1;
            }
            Received::Frame(_) => {}
        }
        account.note(&received);
    }
    assert!(foreign > 10_000 && account.foreign == foreign);
}

#[test]
fn a_frame_that_is_too_long_is_refused_and_survived() {
    let mut sender = Sender::new();
    let mut buffer = [0; 1000];
    let text = "x".repeat(600);
    let log = Message::Log(Log { level: Level::Info, text: &text });
    let error = sender.frame(&log, &mut buffer).unwrap_err();
    assert_eq!(error.room, MAX_FRAME_BYTES);
    assert_eq!(error.to_string(), "the message needs more than the 512 bytes that a frame has here");
    assert_eq!(sender.sent(), 0);
    for room in 0..30 {
        assert!(sender.frame(&Message::Hello(HELLO), &mut buffer[..room]).is_err());
    }

    let mut receiver = Receiver::<20>::new();
    let line: Vec<u8> = sender.frame(&Message::Hello(HELLO), &mut buffer).unwrap().to_vec();
    let mut bytes = &line[..];
    let fault = Fault::TooLong;
    assert_eq!(receiver.next(&mut bytes), Some(Received::Damaged { fault, bytes: line.len() - 2 }));
    let end = Message::End(End { instants: 1, gaps: 0 });
    let mut bytes = sender.frame(&end, &mut buffer).unwrap();
    assert!(matches!(receiver.next(&mut bytes), Some(Received::Frame(_))));
}

/// As much text as fits, to the byte.
#[test]
fn the_longest_frame_is_received() {
    let longest = (0..MAX_FRAME_BYTES)
        .rev()
        .find_map(|len| {
            let text = "x".repeat(len);
            let mut buffer = [0; MAX_FRAME_BYTES];
            let log = Message::Log(Log { level: Level::Info, text: &text });
            Sender::new().frame(&log, &mut buffer).ok().map(<[u8]>::to_vec)
        })
        .unwrap();
    assert!(longest.len() > MAX_FRAME_BYTES - 3);
    let mut receiver = Receiver::<{ MAX_FRAME_BYTES - 2 }>::new();
    assert!(matches!(receiver.next(&mut &longest[..]), Some(Received::Frame(_))));
}

#[test]
fn a_sender_that_begins_anew_is_noticed() {
    let (line, begins) = recording(4);
    let mut twice = line[..begins[4]].to_vec();
    twice.extend_from_slice(&line);
    let account = account(&twice, 40);
    assert_eq!((account.restarts, account.missing_frames, account.lost_on_line), (1, 0, 0));
    assert!(account.ended);
}

#[test]
fn a_late_listener_misses_nothing_that_it_could_have_heard() {
    let (line, begins) = recording(6);
    let account = account(&line[begins[3] + 5..], 40);
    assert_eq!((account.missing_frames, account.damaged, account.lost_on_line), (0, 1, 0));
}
