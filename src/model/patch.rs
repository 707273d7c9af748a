//! The three-valued field of a partial update: left out, null, or a value.

/// A field of a PATCH body (RFC 7396 calls such a body a merge patch).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// The key was left out: unchanged.
    #[default]
    Absent,
    /// The key was null: clear it.
    Null,
    /// A value: set it.
    Value(T),
}

impl<T> Patch<T> {
    /// True when the key was in the body.
    pub const fn is_present(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// The value, when there is one.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// What the field is after the patch.
    pub fn apply(self, current: Option<T>) -> Option<T> {
        match self {
            Self::Absent => current,
            Self::Null => None,
            Self::Value(value) => Some(value),
        }
    }
}
