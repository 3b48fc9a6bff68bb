//! Recordings on disk, and what emulated sensors measure.

use std::fs;

use teff_trainer::line::signal::Choice;
use teff_trainer::line::store::{Kind, Place, is_name};

fn motion() -> Kind {
    Kind { axes: 3, rate_millihertz: 1_600_000, unit: "g".to_string() }
}

#[test]
fn names_are_never_taken_twice() {
    let folder = tempfile::tempdir().unwrap();
    let find = |group: Option<&str>| Place::find(folder.path(), "healthy", group).unwrap();
    let record = |group: Option<&str>| {
        let mut part = find(group).begin(&motion()).unwrap();
        part.append(&[1, 2, 3, -4, 5, 6]).unwrap();
        let path = part.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "x,y,z\n1,2,3\n-4,5,6\n");
        path.file_name().unwrap().to_str().unwrap().to_string()
    };
    assert_eq!(record(None), "t001_001.csv");
    assert_eq!(record(None), "t002_001.csv");
    assert_eq!(record(Some("anna")), "anna_001.csv");
    assert_eq!(record(Some("anna")), "anna_002.csv");
    assert_eq!(record(Some("t001")), "t001_002.csv");
    assert_eq!(find(None).group(), "t003");
    // What was left by a power cut keeps its name.
    drop(find(None).begin(&motion()).unwrap());
    assert!(folder.path().join("healthy/t003_001.csv.part").is_file());
    assert_eq!(find(None).group(), "t004");
}

#[test]
fn a_file_that_appears_meanwhile_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let mut part = Place::find(folder.path(), "a", None).unwrap().begin(&motion()).unwrap();
    part.append(&[1, 2, 3]).unwrap();
    fs::write(part.path(), "mine").unwrap();
    let path = part.path().to_path_buf();
    let error = part.finish().unwrap_err().to_string();
    assert!(error.contains("t001_001.csv.part"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    assert_eq!(fs::read_to_string(path.with_extension("csv.part")).unwrap(), "x,y,z\n1,2,3\n");
}

#[test]
fn sound_is_a_wav_file() {
    let folder = tempfile::tempdir().unwrap();
    let kind = Kind { axes: 1, rate_millihertz: 8_000_000, unit: String::new() };
    let mut part = Place::find(folder.path(), "one", None).unwrap().begin(&kind).unwrap();
    part.append(&[1, -2, i16::MAX]).unwrap();
    let path = part.finish().unwrap();
    assert!(path.ends_with("one/t001_nohash_001.wav"));
    assert_eq!(Place::find(folder.path(), "one", None).unwrap().group(), "t002");
    let mut reader = hound::WavReader::open(path).unwrap();
    assert_eq!(reader.spec().sample_rate, 8000);
    assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), [1, -2, i16::MAX]);
    // A temperature once a minute is no sound.
    assert!(!Kind { axes: 1, rate_millihertz: 16, unit: "C".to_string() }.is_sound());
}

#[test]
fn labels_that_are_no_folder_names_are_known() {
    assert!(is_name("bearing_fault") && is_name("größe-2"));
    assert!(!is_name("") && !is_name("../x") && !is_name("a/b") && !is_name("a b"));
}

#[test]
fn the_machine_is_never_recorded_twice_alike() {
    let choice = Choice::parse("machine:imbalance").unwrap();
    let (one, two) = (choice.load(0.5, 1).unwrap(), choice.load(0.5, 2).unwrap());
    assert_eq!((one.axes, one.rate_millihertz, one.samples.len()), (3, 1_600_000, 2400));
    assert_ne!(one, two);
    assert_eq!(one, choice.load(0.5, 1).unwrap());
    assert!(one.samples.iter().any(|count| *count != 0));
}

#[test]
fn what_is_no_signal_is_refused() {
    assert!(Choice::parse("machine:on fire").unwrap_err().contains("healthy"));
    assert!(Choice::parse("x.mp3").is_err());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    std::fs::write(&path, "x,y,z\n1,2,3\n1,2\n").unwrap();
    let error = Choice::parse(path.to_str().unwrap()).unwrap().load(1.0, 0).unwrap_err().to_string();
    assert!(error.contains("x.csv:3"), "{error}");
}
