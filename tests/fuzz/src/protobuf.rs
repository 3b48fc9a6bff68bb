//! Writing protocol buffers: enough for ONNX files, and independent of the code that reads them.

/// A message under construction.
#[derive(Debug, Default, Clone)]
pub struct Message(pub Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// A number, of any integer type.
    pub fn int(&mut self, field: u32, number: i64) -> &mut Self {
        self.varint(u64::from(field << 3));
        self.varint(number as u64);
        self
    }

    /// A 32-bit real number.
    pub fn float(&mut self, field: u32, number: f32) -> &mut Self {
        self.varint(u64::from(field << 3 | 5));
        self.0.extend(number.to_le_bytes());
        self
    }

    /// Bytes or text.
    pub fn bytes(&mut self, field: u32, bytes: &[u8]) -> &mut Self {
        self.varint(u64::from(field << 3 | 2));
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// Text.
    pub fn text(&mut self, field: u32, text: &str) -> &mut Self {
        self.bytes(field, text.as_bytes())
    }

    /// A message in the message.
    pub fn message(&mut self, field: u32, message: &Message) -> &mut Self {
        self.bytes(field, &message.0)
    }
}
