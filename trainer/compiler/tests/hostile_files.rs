//! Files that no exporter makes: each is refused with an error that names the place, in little time and memory.

mod support;

use support::file::{
    FLOAT, File, INT8, INT32, INT64, constant, field, float, floats, int, ints, tensor, text, varint_field,
};
use support::models_dir;
use teff_compiler::{Place, Target, compile, onnx};

/// `x` `[1, 4]` and `y`.
fn vector() -> File {
    File::new(17).input("x", FLOAT, &[1, 4]).output("y")
}

/// `x` `[1, 2, 6, 6]` and `y`.
fn image() -> File {
    File::new(17).input("x", FLOAT, &[1, 2, 6, 6]).output("y")
}

/// One node `n` that reads `x` and gives `y`.
fn one(file: File, operator: &str, more: &[&str], attributes: &[Vec<u8>]) -> File {
    let inputs: Vec<&str> = ["x"].into_iter().chain(more.iter().copied()).collect();
    file.named("n", operator, &inputs, &["y"], attributes)
}

fn refusal(file: &File) -> String {
    let error = onnx::import(&file.finish()).map(|_| ()).expect_err("a hostile file was accepted");
    error.to_string()
}

/// Every case is refused with all the words after it.
fn all_refused(cases: &[(File, &[&str])]) {
    for (i, (file, words)) in cases.iter().enumerate() {
        let text = match onnx::import(&file.finish()) {
            Ok(graph) => panic!("case {i} was accepted: {words:?}\n{graph}"),
            Err(error) => {
                assert!(!error.remedy.is_empty(), "case {i}: {error}");
                error.to_string()
            }
        };
        println!("{text}");
        for word in *words {
            assert!(text.contains(word), "case {i}: `{word}` is not in: {text}");
        }
    }
}

#[test]
fn graphs_that_do_not_hang_together() {
    let relu = |file: File, name: &str, from: &str, to: &str| file.named(name, "Relu", &[from], &[to], &[]);
    let two = [0u8; 4];
    all_refused(&[
        (relu(relu(vector(), "a", "b", "y"), "c", "y", "b"), &["node `c` (Relu)", "cycle"]),
        (relu(vector(), "a", "y", "y"), &["node `a` (Relu)", "depends on this node"]),
        (relu(vector(), "a", "nowhere", "y"), &["node `a` (Relu)", "`nowhere`, which nothing produces"]),
        (relu(relu(vector(), "a", "x", "y"), "b", "x", "y"), &["node `b` (Relu)", "produced twice"]),
        (relu(vector(), "a", "x", "x"), &["node `a` (Relu)", "`x` is produced twice"]),
        (
            vector().tensor("w", FLOAT, &[1], &two).tensor("w", FLOAT, &[1], &two),
            &["value `w`", "two initializers"],
        ),
        (vector().tensor("", FLOAT, &[1], &two), &["no name"]),
        (relu(vector().input("x", FLOAT, &[1, 4]), "a", "x", "y"), &["value `x`", "two inputs"]),
        (vector(), &["value `y`", "no node produces"]),
        (File::new(17).input("x", FLOAT, &[1, 4]), &["no output"]),
        (vector().f32("y", &[1], &[1.0]), &["value `y`", "a constant"]),
        (one(vector(), "Relu", &[], &[]).raw(15, &[]), &["sparse initializers"]),
        (vector().named("n", "Relu", &[], &["y"], &[]), &["node `n` (Relu)", "no operands"]),
        (vector().named("n", "Relu", &[""], &["y"], &[]), &["node `n` (Relu)", "operand 0 is missing"]),
        (one(vector(), "GatherND", &[], &[]), &["node `n` (GatherND)", "not supported yet"]),
        (
            vector().named("n", "MaxPool", &["x"], &["a", "y"], &[]),
            &["node `n` (MaxPool)", "further result `y`"],
        ),
    ]);
    // A name is the first output's where a node has none.
    let text = refusal(&vector().node("Frobnicate", &["x"], &["y"], &[]));
    assert!(text.contains("node `y` (Frobnicate)") && text.contains("docs/operators.md"), "{text}");
    let text = refusal(&vector().node("my.own::Thing", &["x"], &["y"], &[]));
    assert!(text.contains("domain `my.own`") && text.contains("onnx.inliner"), "{text}");
}

#[test]
fn versions() {
    let file = |opset: i64| {
        File::new(opset).input("x", FLOAT, &[1, 4]).output("y").node("Relu", &["x"], &["y"], &[])
    };
    for opset in [7, 13, 26] {
        assert!(onnx::import(&file(opset).finish()).is_ok());
    }
    for opset in [6, 27, 9999, -1, i64::MAX] {
        let text = refusal(&file(opset));
        assert!(text.contains(&format!("operator set {opset}")) && text.contains("opset 17"), "{text}");
    }
    let none = onnx::import(&field(7, &field(1, &field(4, b"Relu")))).unwrap_err().to_string();
    assert!(none.contains("which operator set"), "{none}");
    let none = onnx::import(&field(8, &varint_field(2, 17))).unwrap_err().to_string();
    assert!(none.contains("no graph"), "{none}");
}

#[test]
fn types_that_do_not_fit() {
    let weights = |kind: i64, raw: &[u8]| image().tensor("w", kind, &[1, 2, 1, 1], raw);
    all_refused(&[
        (one(weights(INT8, &[1; 2]), "Conv", &["w"], &[]), &["node `n` (Conv)", "int8 has no scale"]),
        (one(weights(INT64, &[1; 16]), "Conv", &["w"], &[]), &["node `n` (Conv)", "int64 has no scale"]),
        (one(image(), "Conv", &["x"], &[]), &["node `n` (Conv)", "operand 1", "only constants"]),
        (
            one(image().f32("s", &[1], &[4.0]), "Reshape", &["s"], &[]),
            &["node `n` (Reshape)", "must be int64"],
        ),
        (one(image(), "Reshape", &["x"], &[]), &["node `n` (Reshape)", "must be a constant"]),
        (
            one(image(), "Flatten", &[], &[float("axis", 1.0)]),
            &["node `n` (Flatten)", "`axis` has the wrong type"],
        ),
        (
            one(image(), "Softmax", &[], &[text("axis", "1")]),
            &["node `n` (Softmax)", "`axis` has the wrong type"],
        ),
        (
            one(image(), "Transpose", &[], &[int("perm", 1)]),
            &["node `n` (Transpose)", "`perm` has the wrong type"],
        ),
        (one(image(), "Relu", &[], &[int("what", 1)]), &["node `n` (Relu)", "`what` is not supported"]),
        (
            one(image().f32("s", &[], &[f32::NAN]), "QuantizeLinear", &["s"], &[]),
            &["node `n`", "scale is NaN"],
        ),
        (one(image().f32("s", &[], &[0.0]), "QuantizeLinear", &["s"], &[]), &["node `n`", "scale is 0"]),
        (one(image().f32("s", &[0], &[]), "QuantizeLinear", &["s"], &[]), &["node `n`", "no scale"]),
        (
            one(image().f32("s", &[], &[0.1]).f32("z", &[], &[0.0]), "QuantizeLinear", &["s", "z"], &[]),
            &["node `n`", "zero point of type float"],
        ),
        (one(image(), "Cast", &[], &[int("to", 7)]), &["node `n` (Cast)", "cast to int64"]),
        (one(image(), "ConstantOfShape", &[], &[]), &["node `n`", "for constants only"]),
        (one(image().f32("k", &[2], &[f32::NAN, 1.0]), "Clip", &["k"], &[]), &["node `n` (Clip)", "not one"]),
        (
            File::new(17).input("x", INT32, &[1, 4]).output("y").node("Relu", &["x"], &["y"], &[]),
            &["value `x`", "type int32", "float, int8 or uint8"],
        ),
        (
            File::new(17).input("x", INT8, &[1, 4]).output("y").named("n", "Relu", &["x"], &["y"], &[]),
            &["node `n` (Relu)", "holds integers", "DequantizeLinear"],
        ),
    ]);
}

#[test]
fn sizes_that_do_not_fit() {
    let input =
        |dims: &[i64]| File::new(17).input("x", FLOAT, dims).output("y").node("Relu", &["x"], &["y"], &[]);
    all_refused(&[
        (input(&[1, 1 << 31]), &["value `x`", "out of range"]),
        (input(&[1, 1 << 20, 1 << 20]), &["value `x`", "too large"]),
        (input(&[8, 4]), &["value `x`", "batch of 8", "symbolic batch"]),
        (input(&[1, 0]), &["value `x`", "axis 1"]),
        (input(&[1, 4, -1]), &["value `x`", "axis 2 has no fixed size (N)"]),
        (input(&[1, 1, 1, 1, 1, 1, 1, 1, 2]), &["value `x`", "9 axes"]),
        (one(vector().tensor("w", FLOAT, &[4, 1 << 29], &[0; 16]), "MatMul", &["w"], &[]), &["value `w`"]),
        (
            one(vector().tensor("w", FLOAT, &[4, 4], &[0; 12]), "MatMul", &["w"], &[]),
            &["value `w`", "holds 3"],
        ),
        (one(vector().tensor("w", FLOAT, &[i64::MAX; 4], &[]), "MatMul", &["w"], &[]), &["value `w`"]),
        (
            one(vector().tensor("w", FLOAT, &[-4, -4], &[0; 64]), "MatMul", &["w"], &[]),
            &["value `w`", "out of range"],
        ),
        (
            one(vector().tensor("w", FLOAT, &[4, 0], &[]), "MatMul", &["w"], &[]),
            &["node `n` (MatMul)", "do not fit"],
        ),
        (
            one(vector().f32("w", &[3, 2], &[0.0; 6]), "MatMul", &["w"], &[]),
            &["node `n` (MatMul)", "do not fit"],
        ),
        (
            one(vector().f32("w", &[3], &[0.0; 3]), "Add", &["w"], &[]),
            &["node `n` (Add)", "cannot be combined"],
        ),
        (one(vector().f32("w", &[0], &[]), "Add", &["w"], &[]), &["node `n` (Add)", "cannot be combined"]),
        // Numbers that stand in another file.
        (
            one(vector(), "MatMul", &["w"], &[])
                .raw(5, &[tensor("w", FLOAT, &[4, 4], &[]), varint_field(14, 1)].concat()),
            &["value `w`", "another file", "external data"],
        ),
    ]);
    let many = (0..65).fold(File::new(17).output("y"), |f, i| f.input(&format!("x{i}"), FLOAT, &[1, 1]));
    let text = refusal(&many.node("Relu", &["x0"], &["y"], &[]));
    assert!(text.contains("more than 64 inputs"), "{text}");
}

#[test]
fn shapes_that_do_not_fit() {
    let reshape = |sizes: &[i64]| one(image().i64("s", sizes), "Reshape", &["s"], &[]);
    all_refused(&[
        (reshape(&[-1, -1]), &["node `n` (Reshape)", "leaves two sizes open"]),
        (reshape(&[1, 71]), &["node `n` (Reshape)", "[1, 71]"]),
        (reshape(&[-2, 36]), &["node `n` (Reshape)", "out of range"]),
        (reshape(&[i64::MAX, 1]), &["node `n` (Reshape)", "out of range"]),
        (reshape(&[1 << 30, 1 << 30, 1 << 30]), &["node `n` (Reshape)"]),
        (reshape(&[0, 0, 0, 0, 0]), &["node `n` (Reshape)", "copies axis 4"]),
        (reshape(&[8, 72]), &["node `n` (Reshape)", "batch written into it"]),
        (reshape(&[5, -1]), &["node `n` (Reshape)", "does not become"]),
        (
            one(image().i64("s", &[0, 72]), "Reshape", &["s"], &[int("allowzero", 1)]),
            &["node `n` (Reshape)", "out of range"],
        ),
        (
            one(image(), "Transpose", &[], &[ints("perm", &[0, 1, 2, 2])]),
            &["node `n` (Transpose)", "no order"],
        ),
        (one(image(), "Transpose", &[], &[ints("perm", &[0, 1, 2])]), &["node `n` (Transpose)", "no order"]),
        (one(image(), "Flatten", &[], &[int("axis", i64::MIN)]), &["node `n` (Flatten)", "no axis"]),
        (one(image(), "Softmax", &[], &[int("axis", i64::MIN)]), &["node `n` (Softmax)", "no axis"]),
        (
            one(image(), "Squeeze", &[], &[])
                .i64("a", &[0])
                .named("m", "Squeeze", &["x", "a", "a"], &["z"], &[])
                .output("z")
                .named("k", "Squeeze", &["x"], &["q"], &[ints("axes", &[1])])
                .output("q"),
            &["node `k` (Squeeze)", "is not 1"],
        ),
        (
            one(image().i64("a", &[0, 0]), "Unsqueeze", &["a"], &[]),
            &["node `n` (Unsqueeze)", "name one twice"],
        ),
        (
            one(image().i64("a", &[9, 8, 7, 6, 5]), "Unsqueeze", &["a"], &[]),
            &["node `n` (Unsqueeze)", "too many"],
        ),
        (one(image(), "ReduceMean", &[], &[ints("axes", &[4])]), &["node `n` (ReduceMean)", "no axis 4"]),
        (one(image(), "Concat", &["x"], &[int("axis", 7)]), &["node `n` (Concat)", "no axis 7"]),
        (one(image(), "Concat", &["x"], &[]), &["node `n` (Concat)", "`axis` is missing"]),
    ]);
}

#[test]
fn windows_that_do_not_fit() {
    let conv =
        |attributes: &[Vec<u8>]| one(image().f32("w", &[2, 2, 3, 3], &[0.1; 36]), "Conv", &["w"], attributes);
    let pool = |attributes: &[Vec<u8>]| {
        one(image(), "MaxPool", &[], &[&[ints("kernel_shape", &[2, 2])], attributes].concat())
    };
    let huge = i64::MAX;
    all_refused(&[
        (conv(&[ints("strides", &[0, 1])]), &["node `n` (Conv)", "`strides` holds 0"]),
        (conv(&[ints("strides", &[huge, 1])]), &["node `n` (Conv)", "`strides` holds"]),
        (conv(&[ints("strides", &[1])]), &["node `n` (Conv)", "has 1 numbers, not 2"]),
        (conv(&[ints("dilations", &[0, 0])]), &["node `n` (Conv)", "`dilations` holds 0"]),
        (conv(&[ints("dilations", &[1 << 24, 1])]), &["node `n` (Conv)"]),
        (conv(&[ints("pads", &[-1, 0, 0, 0])]), &["node `n` (Conv)", "`pads` holds -1"]),
        (conv(&[ints("pads", &[huge; 4])]), &["node `n` (Conv)", "`pads` holds"]),
        (conv(&[ints("pads", &[1 << 24; 4])]), &["node `n` (Conv)", "too large"]),
        (conv(&[ints("kernel_shape", &[5, 5])]), &["node `n` (Conv)", "kernel_shape is [5, 5]"]),
        (conv(&[int("group", 0)]), &["node `n` (Conv)", "0 groups"]),
        (conv(&[int("group", -1)]), &["node `n` (Conv)", "groups"]),
        (conv(&[int("group", huge)]), &["node `n` (Conv)", "groups"]),
        (conv(&[int("group", 2)]), &["node `n` (Conv)", "2 groups"]),
        (conv(&[text("auto_pad", "SAME")]), &["node `n` (Conv)", "`SAME` is not known"]),
        (one(image().f32("w", &[2, 2, 7, 7], &[0.1; 196]), "Conv", &["w"], &[]), &["node `n` (Conv)"]),
        (one(image().f32("w", &[2, 2, 3], &[0.1; 12]), "Conv", &["w"], &[]), &["node `n` (Conv)", "4 axes"]),
        (one(vector().f32("w", &[2, 4], &[0.1; 8]), "Conv", &["w"], &[]), &["node `n` (Conv)"]),
        (one(image(), "MaxPool", &[], &[]), &["node `n` (MaxPool)", "`kernel_shape` is missing"]),
        (pool(&[ints("pads", &[2, 2, 2, 2])]), &["node `n` (MaxPool)", "without input"]),
        (pool(&[ints("dilations", &[2, 2])]), &["node `n` (MaxPool)", "dilated pooling"]),
        (one(image(), "MaxPool", &[], &[ints("kernel_shape", &[7, 7])]), &["node `n` (MaxPool)"]),
        (
            one(
                image(),
                "AveragePool",
                &[],
                &[
                    ints("kernel_shape", &[4, 4]),
                    ints("strides", &[2, 2]),
                    ints("pads", &[0, 0, 1, 1]),
                    int("ceil_mode", 1),
                    int("count_include_pad", 1),
                ],
            ),
            &["node `n` (AveragePool)", "ceil_mode with count_include_pad"],
        ),
        (
            one(image().i64("p", &[0, 0, -1, 0, 0, 0, 0, 0]), "Pad", &["p"], &[]),
            &["node `n` (Pad)", "pad of -1"],
        ),
        (one(image().i64("p", &[0, 0, huge, 0, 0, 0, 0, 0]), "Pad", &["p"], &[]), &["node `n` (Pad)"]),
        (
            one(image().i64("p", &[0, 1, 0, 0, 0, 0, 0, 0]), "Pad", &["p"], &[]),
            &["node `n` (Pad)", "channels"],
        ),
        (one(image().i64("p", &[0, 0, 1]), "Pad", &["p"], &[]), &["node `n` (Pad)", "3 pads for 4 axes"]),
        (
            one(image().i64("p", &[0, 0, 1, 0, 0, 0, 0, 0]), "Pad", &["p"], &[text("mode", "reflect")]),
            &["node `n` (Pad)", "mode `reflect`"],
        ),
    ]);
}

#[test]
fn constants_that_do_not_fit() {
    let shape = |name: &str, sizes: &[i64]| image().i64(name, sizes);
    let computed = |file: File, operator: &str, inputs: &[&str], attributes: &[Vec<u8>]| {
        file.named("c", operator, inputs, &["k"], attributes).named("n", "Add", &["x", "k"], &["y"], &[])
    };
    let long = |name: &str, n: i64| tensor(name, INT64, &[], &n.to_le_bytes());
    let range = |a: i64, b: i64, step: i64| {
        let file = image().raw(5, &long("a", a)).raw(5, &long("b", b)).raw(5, &long("s", step));
        computed(file, "Range", &["a", "b", "s"], &[])
    };
    let ten = || image().f32("t", &[2, 5], &[1.0; 10]);
    all_refused(&[
        (
            computed(shape("s", &[1 << 20, 1 << 20]), "ConstantOfShape", &["s"], &[]),
            &["node `c`", "too large"],
        ),
        (
            computed(shape("s", &[i64::MAX, i64::MAX]), "ConstantOfShape", &["s"], &[]),
            &["node `c`", "too large"],
        ),
        (computed(shape("s", &[-1]), "ConstantOfShape", &["s"], &[]), &["node `c`", "sizes [-1]"]),
        (
            computed(shape("s", &[2]), "ConstantOfShape", &["s"], &[constant("value", FLOAT, &[2], &[0; 8])]),
            &["node `c`", "2 elements, not one"],
        ),
        (computed(ten().i64("s", &[1 << 40, 2, 5]), "Expand", &["t", "s"], &[]), &["node `c`", "too large"]),
        (computed(ten().i64("s", &[3, 5]), "Expand", &["t", "s"], &[]), &["node `c`", "do not match"]),
        (computed(ten().i64("s", &[1 << 40, 1]), "Tile", &["t", "s"], &[]), &["node `c`", "too large"]),
        (
            computed(ten().i64("s", &[i64::MAX, i64::MAX]), "Tile", &["t", "s"], &[]),
            &["node `c`", "overflow"],
        ),
        (computed(ten().i64("s", &[2]), "Tile", &["t", "s"], &[]), &["node `c`", "1 repeats for 2 axes"]),
        (range(0, 1 << 40, 1), &["node `c` (Range)", "too large"]),
        (range(i64::MIN, i64::MAX, 1), &["node `c` (Range)", "overflow"]),
        (range(0, 10, 0), &["node `c` (Range)", "step 0"]),
        (
            computed(ten().i64("s", &[2]), "Gather", &["t", "s"], &[]),
            &["node `c` (Gather)", "index 2 of an axis of 2"],
        ),
        (
            computed(ten().i64("s", &[i64::MIN]), "Gather", &["t", "s"], &[]),
            &["node `c` (Gather)", "of an axis of 2"],
        ),
        (
            computed(ten().i64("s", &[0]), "Slice", &["t", "s", "s", "s", "s"], &[]),
            &["node `c` (Slice)", "step 0"],
        ),
        (
            computed(ten().i64("s", &[9]), "Slice", &["t", "s", "s", "s"], &[]),
            &["node `c` (Slice)", "no axis 9"],
        ),
        (
            computed(ten().f32("u", &[2, 4], &[1.0; 8]), "Concat", &["t", "u"], &[int("axis", 0)]),
            &["node `c`", "do not join"],
        ),
        (
            computed(ten().i64("u", &[1]), "Concat", &["t", "u"], &[int("axis", 0)]),
            &["node `c`", "do not join"],
        ),
        (computed(image().i64("a", &[i64::MAX]), "Add", &["a", "a"], &[]), &["node `c` (Add)", "no result"]),
        (
            computed(image().i64("a", &[1]).i64("b", &[0]), "Div", &["a", "b"], &[]),
            &["node `c` (Div)", "no result"],
        ),
        (
            computed(image().i64("a", &[1]).i64("b", &[0]), "Mod", &["a", "b"], &[]),
            &["node `c` (Mod)", "no result"],
        ),
        (computed(ten(), "Cast", &["t"], &[int("to", 8)]), &["node `c` (Cast)", "cast to string"]),
        (computed(ten().i64("s", &[-1, -1]), "Reshape", &["t", "s"], &[]), &["node `c`", "two sizes open"]),
        (
            computed(image(), "Constant", &[], &[floats("value_floats", &[])]),
            &["node `n` (Add)", "cannot be combined"],
        ),
    ]);
}

/// Largest memory that this process has had, in megabytes.
fn peak_mb() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kb| kb / 1024)
}

#[test]
fn growth_is_bounded() {
    let before = peak_mb();
    // Each constant is twice the one before.
    let mut file = image().i64("k0", &[1; 1024]);
    for i in 0..40 {
        let (from, to) = (format!("k{i}"), format!("k{}", i + 1));
        file = file.node("Concat", &[&from, &from], &[&to], &[int("axis", 0)]);
    }
    let text = refusal(&file.node("Reshape", &["x", "k40"], &["y"], &[]));
    assert!(text.contains("node `k") && text.contains("(Concat)") && text.contains("too large"), "{text}");

    // As many constants as are allowed, each within the limit.
    let mut file = image().i64("s", &[1 << 22]);
    for i in 0..30 {
        file = file.node("ConstantOfShape", &["s"], &[&format!("k{i}")], &[]);
    }
    let names: Vec<String> = (0..30).map(|i| format!("k{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let text = refusal(&file.node("Concat", &names, &["y"], &[int("axis", 0)]));
    assert!(
        text.contains("node `k") && text.contains("the constants that the file computes are too many"),
        "{text}"
    );

    // Each activation is twice the one before.
    let mut file = image();
    let mut from = "x".to_string();
    for i in 0..40 {
        let to = if i == 39 { "y".to_string() } else { format!("a{i}") };
        file = file.node("Concat", &[&from, &from], &[&to], &[int("axis", 1)]);
        from = to;
    }
    let text = refusal(&file);
    assert!(text.contains("(Concat)") && text.contains("elements of activations"), "{text}");

    // One large constant that is read by many layers.
    let mut file = File::new(17).input("x", FLOAT, &[1, 1 << 20]).output("y").tensor(
        "w",
        FLOAT,
        &[1 << 20],
        &vec![0; 4 << 20],
    );
    let mut from = "x".to_string();
    for i in 0..500 {
        let to = if i == 499 { "y".to_string() } else { format!("a{i}") };
        file = file.node("Mul", &[&from, "w"], &[&to], &[]);
        from = to;
    }
    let text = refusal(&file);
    assert!(text.contains("(Mul)") && text.contains("small devices"), "{text}");
    if let (Some(before), Some(after)) = (before, peak_mb()) {
        println!("{before} MB before, {after} MB at most");
        assert!(after < before + 600, "{after} MB");
    }
}

#[test]
fn many_nodes_of_one_name_take_no_time() {
    let mut file = vector();
    let mut from = "x".to_string();
    for i in 0..3000 {
        let to = if i == 2999 { "y".to_string() } else { format!("a{i}") };
        file = file.named("same", "Tanh", &[&from], &[&to], &[]);
        from = to;
    }
    let started = std::time::Instant::now();
    let graph = onnx::import(&file.finish()).unwrap();
    assert_eq!(graph.nodes.len(), 3000);
    assert!(started.elapsed().as_secs() < 60);
    let more = (0..10_001).fold(vector(), |f, i| f.node("Tanh", &["x"], &[&format!("a{i}")], &[]));
    let text = refusal(&more.node("Tanh", &["x"], &["y"], &[]));
    assert!(text.contains("10002 nodes are more than 10000"), "{text}");
}

#[test]
fn deep_nesting_ends() {
    // Attributes hold graphs that hold nodes that hold attributes.
    let mut inner = Vec::new();
    for _ in 0..2_000 {
        inner = field(1, &field(5, &field(6, &inner)));
    }
    let file = image().raw(1, &inner);
    assert!(onnx::import(&file.finish()).is_err());
    let branch = one(image(), "If", &[], &[[field(1, b"then_branch"), field(6, &inner)].concat()]);
    let text = refusal(&branch);
    assert!(text.contains("node `n` (If)") && text.contains("branches and loops"), "{text}");
    // The same where it is read: tensors within attributes, types within types.
    let mut inner = Vec::new();
    for _ in 0..200 {
        inner = field(2, &field(1, &inner));
    }
    assert!(onnx::import(&field(7, &field(11, &inner))).is_err());
}

#[test]
fn damaged_reference_models_never_panic() {
    let Some(dir) = models_dir("damaged_reference_models_never_panic") else { return };
    // One byte of the structure, which stands before and after the weights, at a time.
    for name in ["pt_cnn_ort_qop", "pt_cnn_ort_dyn", "sk_logreg_digits", "sk_mlp_digits_nozipmap"] {
        let file = std::fs::read(dir.join(format!("{name}.onnx"))).unwrap();
        let mut refused = 0;
        for at in (0..file.len()).step_by(file.len() / 400 + 1) {
            for bit in [0, 3, 6] {
                let mut damaged = file.clone();
                damaged[at] ^= 1 << bit;
                match onnx::import(&damaged) {
                    Ok(graph) => {
                        graph.verify().unwrap();
                        let _ = compile(&damaged, Target::Generic);
                    }
                    Err(error) => {
                        refused += 1;
                        assert!(!error.reason.is_empty());
                        assert!(error.place != Place::Model || !error.to_string().is_empty());
                    }
                }
            }
        }
        println!("{name}: {refused} refused");
        assert!(refused > 0);
    }
}
