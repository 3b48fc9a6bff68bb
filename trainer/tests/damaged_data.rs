//! Damaged and impossible data: an error with file, place and remedy, never a panic.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use teff_trainer::dataset::archive::{Files, Limits};
use teff_trainer::dataset::{self, DataSet};
use teff_trainer::error::{InputError, Place};
use teff_trainer::recipe::Recipe;

/// A recipe around a `[data]` table.
fn recipe(data: &str, front_end: &str) -> Recipe {
    let text = format!(
        r#"
        name = "test"
        seed = 1
        [card]
        title = "t"
        data = "d"
        data_licence = "l"
        licence = "l"
        [data]
        path = "set"
        {data}
        [front_end]
        {front_end}
        [[network.layers]]
        type = "dense"
        [train]
        epochs = 1
        batch = 1
        optimiser = "adam"
        learning_rate = 0.1
        "#
    );
    Recipe::parse(Path::new("test.toml"), &text).unwrap_or_else(|error| panic!("{error}"))
}

fn wav_recipe() -> Recipe {
    recipe(
        r#"
        format = "wav"
        archive = "set.tar.gz"
        layout = "class_speaker_index"
        rate_hz = 8000
        labels = ["0", "1"]
        [data.split]
        rule = "official"
        "#,
        "kind = \"log_mel\"\nframe_len = 256\nbands = 8\nwindow = 4",
    )
}

fn csv_recipe() -> Recipe {
    recipe(
        r#"
        format = "recordings"
        layout = "class_folders"
        columns = ["x", "y"]
        rate_hz = 50
        unit = "g"
        lsb_per_unit = 100
        labels = ["rest", "move"]
        [data.window]
        length = 2
        stride = 2
        [data.split]
        rule = "share"
        test = 0.5
        "#,
        "kind = \"raw_window\"",
    )
}

fn segments_recipe() -> Recipe {
    recipe(
        r#"
        format = "recordings"
        layout = "segments"
        signal = "acc"
        axes = 2
        rate_hz = 50
        unit = "g"
        lsb_per_unit = 100
        labels = ["walk", "sit"]
        classes = ["1", "2"]
        ignore = ["3"]
        [data.window]
        length = 2
        stride = 2
        [data.split]
        rule = "groups"
        test = ["2"]
        "#,
        "kind = \"raw_window\"",
    )
}

fn idx_recipe() -> Recipe {
    recipe(
        r#"
        format = "idx"
        labels = ["a", "b"]
        [data.split]
        rule = "official"
        "#,
        "kind = \"image\"\nheight = 2\nwidth = 2",
    )
}

fn load(recipe: &Recipe, folder: &Path) -> Result<DataSet, InputError> {
    dataset::load(&recipe.data, recipe.seed, Some(folder), Path::new("."))
}

/// Loads what must fail, and gives the message.
fn message(recipe: &Recipe, folder: &Path) -> String {
    let error = load(recipe, folder).expect_err("it should be refused");
    assert!(!error.remedy.is_empty() && !error.problem.is_empty());
    error.to_string()
}

fn write(folder: &Path, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, contents).unwrap();
    path
}

fn wav(samples: &[i16]) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    samples.iter().for_each(|&sample| writer.write_sample(sample).unwrap());
    writer.finalize().unwrap();
    bytes.into_inner()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A `.tar.gz` with a training and a test recording of two classes.
fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for class in 0..2 {
        for index in [0, 7] {
            let samples: Vec<i16> = (0..300).map(|n| (n * 37 % 1_000 + class * 10 + index) as i16).collect();
            let bytes = wav(&samples);
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, format!("{class}_ann_{index}.wav"), &bytes[..]).unwrap();
        }
    }
    gzip(&builder.into_inner().unwrap())
}

#[test]
fn a_damaged_archive_is_an_error_or_loads_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let (recipe, good) = (wav_recipe(), archive());
    write(folder.path(), "set.tar.gz", &good);
    let set = load(&recipe, folder.path()).unwrap();
    assert_eq!(set.examples.len(), 4);
    for len in (0..good.len()).step_by(11).chain([good.len() - 1]) {
        write(folder.path(), "set.tar.gz", &good[..len]);
        let shown = message(&recipe, folder.path());
        assert!(shown.contains("set.tar.gz"), "{shown}");
    }
    for byte in (0..good.len()).step_by(3) {
        let mut damaged = good.clone();
        damaged[byte] ^= 1 << (byte % 8);
        write(folder.path(), "set.tar.gz", &damaged);
        // A few bits of a gzip header carry nothing.
        if let Ok(loaded) = load(&recipe, folder.path()) {
            assert_eq!(loaded, set, "byte {byte}");
        }
    }
}

#[test]
fn an_entry_that_claims_four_gigabytes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_path("0_ann_7.wav").unwrap();
    header.set_size(4 << 30);
    header.set_mode(0o644);
    header.set_cksum();
    write(folder.path(), "set.tar.gz", gzip(&[header.as_bytes(), &[0; 512][..]].concat()));
    let shown = message(&wav_recipe(), folder.path());
    assert!(shown.contains("claims 4294967296 bytes"), "{shown}");
}

#[test]
fn an_archive_that_unpacks_to_too_much_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "set.tar.gz", archive());
    let files = Files::find(folder.path(), Some("set.tar.gz"), None).unwrap();
    for limits in [
        Limits { total_bytes: 1_000, ..Limits::default() },
        Limits { file_bytes: 500, ..Limits::default() },
        Limits { files: 3, ..Limits::default() },
    ] {
        let error = files.visit(limits, |_| true, |_| Ok(())).unwrap_err();
        assert!(error.file.starts_with(&path), "{error}");
    }
    let mut names = Vec::new();
    let all = files.visit(
        Limits::default(),
        |_| true,
        |entry| {
            names.push(entry.name);
            Ok(())
        },
    );
    assert!(all.is_ok());
    assert_eq!(names, ["0_ann_0.wav", "0_ann_7.wav", "1_ann_0.wav", "1_ann_7.wav"]);
}

#[test]
fn wav_folders_name_the_file_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = wav_recipe();
    let set = folder.path().join("set");
    assert!(message(&recipe, &folder.path().join("nowhere")).contains("is no folder"));
    for name in ["0_ann_0.wav", "0_ann_7.wav", "1_ann_7.wav"] {
        write(&set, name, wav(&[1, 2, 3]));
    }
    assert!(load(&recipe, folder.path()).is_ok());
    for (name, contents, expected) in [
        ("1_ann_8.wav", &b""[..], "is no WAV file"),
        ("1_ann_8.wav", b"RIFF", "is no WAV file"),
        ("1_ann_8.wav", &wav(&[]), "holds no sample"),
        ("1_ann_8.wav", &wav(&[1, 2, 3])[..47], "ends after 1 of 3 samples"),
        ("1-ann-8.wav", &wav(&[1]), "does not fit the layout"),
        ("2_ann_8.wav", &wav(&[1]), "its class `2` is not in the recipe"),
    ] {
        let path = write(&set, name, contents);
        let shown = message(&recipe, folder.path());
        assert!(shown.contains(name) && shown.contains(expected), "{shown}");
        fs::remove_file(path).unwrap();
    }
    fs::remove_file(set.join("1_ann_7.wav")).unwrap();
    write(&set, "1_ann_1.wav", wav(&[1]));
    let shown = message(&recipe, folder.path());
    assert!(shown.contains("class `1` has no example to train on"), "{shown}");
}

#[test]
fn csv_recordings_name_the_line_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = csv_recipe();
    let good = "x,y\n0.5,-0.25\n1,1e-2\n";
    for name in ["rest/a_0.csv", "rest/b_0.csv", "move/a_0.csv"] {
        write(folder.path(), name, good);
    }
    write(folder.path(), "move/b_0.csv", good);
    let set = load(&recipe, folder.path()).unwrap();
    assert_eq!(set.examples.len(), 4);
    assert_eq!(set.examples[0].samples, teff_trainer::dataset::Samples::I16(vec![50, -25, 100, 1]));
    for (contents, line, expected) in [
        (&b""[..], 1, "has no column `x`"),
        (b"x,z\n1,2\n", 1, "has no column `y`"),
        (b"x,y\n", 0, "holds no sample"),
        (b"x,y\n1,2\n1,b\n", 3, "`b` in column `y` is no number"),
        (b"x,y\n1,2\n1,\n", 3, "`` in column `y` is no number"),
        (b"x,y\n1,2\n1\n", 3, "cannot be read as CSV"),
        (b"x,y\n1,2\n1,nan\n", 3, "`nan` in column `y`"),
        (b"x,y\n1,2\n1,-0.\n", 3, "`-0.` in column `y`"),
        (b"x,y\n1,2\n\xff\xfe,3\n", 3, "cannot be read as CSV"),
        (b"\xff\xfe\x00\n1,2\n", 1, "cannot be read as CSV"),
    ] {
        write(folder.path(), "move/b_1.csv", contents);
        let error = load(&recipe, folder.path()).unwrap_err();
        let place = if line == 0 { Place::File } else { Place::Line(line) };
        assert!(error.to_string().contains(expected) && error.file.ends_with("move/b_1.csv"), "{error}");
        assert_eq!(error.place, place, "{error}");
    }
    write(folder.path(), "move/b_1.csv", good);
    write(folder.path(), "jump/a_0.csv", good);
    assert!(message(&recipe, folder.path()).contains("its class `jump` is not in the recipe"));
}

#[test]
fn flipped_bits_of_a_csv_recording_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = csv_recipe();
    let good = b"x,y\n0.5,-0.25\n1,2\n3,4\n5.5,66\n";
    for name in ["rest/a_0.csv", "rest/b_0.csv", "move/a_0.csv"] {
        write(folder.path(), name, good);
    }
    for bit in 0..good.len() * 8 {
        let mut damaged = good.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        write(folder.path(), "move/b_0.csv", damaged);
        let _ = load(&recipe, folder.path());
    }
}

#[test]
fn segments_name_the_line_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = segments_recipe();
    write(folder.path(), "acc_exp01_user01.txt", "1 2\n3 4\n5 6\n7 8\n");
    write(folder.path(), "acc_exp02_user02.txt", "1 2\r\n3 4\r\n\r\n");
    let good = "1 1 1 1 2\n1 1 2 3 4\n2 2 1 1 2\n1 1 3 1 4\n";
    write(folder.path(), "labels.txt", good);
    let set = load(&recipe, folder.path()).unwrap();
    assert_eq!(set.examples.len(), 3);
    for (line, expected) in [
        ("1 1 1 0 2", "are not in"),
        ("1 1 1 2 5", "has 4"),
        ("1 1 1 3 2", "are not in"),
        ("1 1 1 1 18446744073709551615", "are not in"),
        ("1 1 1 1 18446744073709551616", "in whole numbers"),
        ("1 1 1 1", "is not `experiment user class first last`"),
        ("3 1 1 1 2", "`acc_exp03_user01.txt` that it refers to is not there"),
        ("1 1 9 1 2", "its class `9` is not in the recipe"),
    ] {
        write(folder.path(), "labels.txt", format!("{good}{line}\n"));
        let shown = message(&recipe, folder.path());
        assert!(shown.contains(expected) && shown.contains("labels.txt"), "{shown}");
        assert!(shown.contains("labels.txt:5") || line.starts_with("1 1 9"), "{shown}");
    }
    write(folder.path(), "labels.txt", good);
    for (contents, line, expected) in [
        ("", 0, "holds no sample"),
        ("1 2\n3\n", 2, "`3` is not 2 numbers"),
        ("1 2\n3 4 5\n", 2, "is not 2 numbers"),
        ("1 2\n3 x\n", 2, "is not 2 numbers"),
    ] {
        write(folder.path(), "acc_exp02_user02.txt", contents);
        let error = load(&recipe, folder.path()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.place, if line == 0 { Place::File } else { Place::Line(line) });
    }
    write(folder.path(), "acc_exp02_user02.txt", "1 2\n3 4\n");
    fs::remove_file(folder.path().join("labels.txt")).unwrap();
    assert!(message(&recipe, folder.path()).contains("has no `labels.txt`"));
}

fn idx(dimensions: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
    dimensions.iter().for_each(|dimension| bytes.extend(dimension.to_be_bytes()));
    [&bytes, values].concat()
}

#[test]
fn idx_files_that_do_not_belong_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = idx_recipe();
    let file = |part: &str| format!("{part}-ubyte");
    write(folder.path(), &file("train-images-idx3"), idx(&[2, 2, 2], &[1; 8]));
    write(folder.path(), &file("train-labels-idx1"), idx(&[2], &[0, 1]));
    write(folder.path(), &file("t10k-images-idx3"), idx(&[1, 2, 2], &[2; 4]));
    assert!(message(&recipe, folder.path()).contains("t10k-labels-idx1-ubyte.gz: is not there"));
    write(folder.path(), &file("t10k-labels-idx1"), idx(&[1], &[1]));
    let set = load(&recipe, folder.path()).unwrap();
    assert_eq!(set.examples.len(), 3);
    for (name, contents, good, expected) in [
        ("t10k-labels-idx1", idx(&[1], &[2]), idx(&[1], &[1]), "label 0 is 2, but the recipe has 2 labels"),
        ("t10k-labels-idx1", idx(&[2], &[0, 1]), idx(&[1], &[1]), "but there are 1 images"),
        ("t10k-labels-idx1", idx(&[1, 1], &[1]), idx(&[1], &[1]), "has the dimensions [1, 1]"),
        (
            "t10k-images-idx3",
            idx(&[1, 2, 3], &[2; 6]),
            idx(&[1, 2, 2], &[2; 4]),
            "those of the training file",
        ),
        ("t10k-images-idx3", idx(&[0, 2, 2], &[]), idx(&[1, 2, 2], &[2; 4]), "holds no image"),
        ("t10k-images-idx3", idx(&[4], &[2; 4]), idx(&[1, 2, 2], &[2; 4]), "which are no images"),
        ("train-images-idx3", idx(&[u32::MAX, 1, 1], &[2; 4]), idx(&[2, 2, 2], &[1; 8]), "has 4 values"),
        ("train-labels-idx1", idx(&[2], &[0, 0]), idx(&[2], &[0, 1]), "class `b` has no example to train on"),
    ] {
        write(folder.path(), &file(name), contents);
        let shown = message(&recipe, folder.path());
        assert!(shown.contains(expected), "{shown}");
        write(folder.path(), &file(name), good);
    }
    // A packed file that is cut off.
    fs::remove_file(folder.path().join(file("train-images-idx3"))).unwrap();
    let packed = gzip(&idx(&[2, 2, 2], &[1; 8]));
    write(folder.path(), "train-images-idx3-ubyte.gz", &packed);
    assert!(load(&recipe, folder.path()).is_ok());
    for len in 0..packed.len() {
        write(folder.path(), "train-images-idx3-ubyte.gz", &packed[..len]);
        assert!(message(&recipe, folder.path()).contains("train-images-idx3-ubyte.gz"));
    }
}

#[test]
fn groups_that_do_not_exist_are_named_with_those_that_do() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "acc_exp01_user01.txt", "1 2\n3 4\n5 6\n7 8\n");
    write(folder.path(), "labels.txt", "1 1 1 1 2\n1 1 2 3 4\n");
    let shown = message(&segments_recipe(), folder.path());
    assert!(shown.contains("`2`") && shown.contains("the groups are: 1"), "{shown}");
}

#[test]
fn recordings_shorter_than_the_window_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    for name in
        ["rest/a_0.csv", "rest/b_0.csv", "move/a_0.csv", "move/b_0.csv", "move/d_0.csv", "move/e_0.csv"]
    {
        write(folder.path(), name, "x,y\n1,2\n3,4\n5,6\n");
    }
    write(folder.path(), "move/c_0.csv", "x,y\n1,2\n");
    let set = load(&csv_recipe(), folder.path()).unwrap();
    assert_eq!(set.skipped.count, 1);
    assert!(set.skipped.reasons[0].contains("c_0.csv: has 1 samples"), "{:?}", set.skipped);
}
