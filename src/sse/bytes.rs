//! Bytes that a text is looked through for.

/// A set of bytes.
#[derive(Debug)]
pub(crate) struct Bytes([bool; 256]);

impl Bytes {
    /// These.
    #[expect(clippy::indexing_slicing, reason = "no byte is beyond 255")]
    pub(crate) const fn of(bytes: &[u8]) -> Self {
        let (mut set, mut rest) = ([false; 256], bytes);
        while let [first, others @ ..] = rest {
            set[*first as usize] = true;
            rest = others;
        }
        Self(set)
    }

    /// The text up to the first of them, and the rest.
    pub(crate) fn split<'t>(&self, text: &'t [u8]) -> (&'t [u8], &'t [u8]) {
        let is_one = |byte: &u8| self.0.get(usize::from(*byte)) == Some(&true);
        let first = text.iter().position(is_one).unwrap_or(text.len());
        text.split_at_checked(first).unwrap_or((text, &[]))
    }
}
