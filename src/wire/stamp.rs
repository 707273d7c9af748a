//! Times as each dialect writes them; every form is RFC 3339.

use std::{borrow::Cow, fmt, marker::PhantomData};

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// How a dialect writes times.
pub trait Form: Send + Sync {
    /// The text of a time.
    fn write(at: DateTime<Utc>) -> String;

    /// Serializes that text.
    ///
    /// # Errors
    /// When the serializer fails.
    fn serialize<S: Serializer>(at: DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Self::write(at))
    }
}

/// UTC with `Z`, to the microsecond where there is a fraction: `2025-06-25T15:10:40.125Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exact {}

/// UTC with `Z`, in whole seconds: `2023-11-07T05:31:56Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seconds {}

/// A numeric offset, in whole seconds: `2025-06-25T15:10:40+00:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offset {}

impl Form for Exact {
    fn write(at: DateTime<Utc>) -> String {
        Digits::of(at).map_or_else(
            || at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            |digits| digits.text().to_owned(),
        )
    }

    fn serialize<S: Serializer>(at: DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        match Digits::of(at) {
            Some(digits) => serializer.serialize_str(digits.text()),
            None => serializer.serialize_str(&Self::write(at)),
        }
    }
}

/// A time of the years 0 to 9999 to the microsecond, written without the formatter: an answer holds many.
struct Digits {
    bytes: [u8; 27],
    length: usize,
}

impl Digits {
    fn of(at: DateTime<Utc>) -> Option<Self> {
        let year = u32::try_from(at.year()).ok().filter(|year| *year <= 9999)?;
        let (micros, rest) = (at.nanosecond() / 1000, at.nanosecond() % 1000);
        if rest != 0 || micros > 999_999 {
            return None;
        }
        let mut digits = Self {
            bytes: *b"0000-00-00T00:00:00.000000Z",
            length: 27,
        };
        for (place, width, number) in [
            (0, 4, year),
            (5, 2, at.month()),
            (8, 2, at.day()),
            (11, 2, at.hour()),
            (14, 2, at.minute()),
            (17, 2, at.second()),
            (20, 6, micros),
        ] {
            digits.put(place, width, number);
        }
        let kept = match micros {
            0 => 19,
            micros if micros % 1000 == 0 => 23,
            _ => return Some(digits),
        };
        *digits.bytes.get_mut(kept)? = b'Z';
        digits.length = kept + 1;
        Some(digits)
    }

    fn put(&mut self, place: usize, width: usize, mut number: u32) {
        for byte in self.bytes.iter_mut().skip(place).take(width).rev() {
            *byte = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    }

    fn text(&self) -> &str {
        let written = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(written).unwrap_or_default()
    }
}

impl Form for Seconds {
    fn write(at: DateTime<Utc>) -> String {
        at.to_rfc3339_opts(SecondsFormat::Secs, true)
    }
}

impl Form for Offset {
    fn write(at: DateTime<Utc>) -> String {
        at.to_rfc3339_opts(SecondsFormat::Secs, false)
    }
}

/// A time that is written in one form and read in any form of RFC 3339.
pub struct Stamp<F> {
    /// The time.
    pub at: DateTime<Utc>,
    form: PhantomData<fn() -> F>,
}

impl<F> Clone for Stamp<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Stamp<F> {}

impl<F> PartialEq for Stamp<F> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<F> Eq for Stamp<F> {}

impl<F> fmt::Debug for Stamp<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

impl<F> From<DateTime<Utc>> for Stamp<F> {
    fn from(at: DateTime<Utc>) -> Self {
        Self {
            at,
            form: PhantomData,
        }
    }
}

impl<F: Form> Type for Stamp<F> {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;

    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string_date-time".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "date-time")))
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<F: Form> ParseFromJSON for Stamp<F> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value.unwrap_or_default() {
            Value::String(text) => Self::parse_from_parameter(&text),
            other => Err(ParseError::expected_type(other)),
        }
    }
}

impl<F: Form> ParseFromParameter for Stamp<F> {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Ok(DateTime::parse_from_rfc3339(value)?.to_utc().into())
    }
}

impl<F: Form> ToJSON for Stamp<F> {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(F::write(self.at)))
    }
}

impl<F: Form> Serialize for Stamp<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        F::serialize(self.at, serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_written_as_its_dialect_wants() {
        let at = DateTime::parse_from_rfc3339("2025-06-25T17:10:40.125+02:00")
            .unwrap()
            .to_utc();
        assert_eq!(Exact::write(at), "2025-06-25T15:10:40.125Z");
        assert_eq!(Seconds::write(at), "2025-06-25T15:10:40Z");
        assert_eq!(Offset::write(at), "2025-06-25T15:10:40+00:00");
    }

    #[test]
    fn digits_are_those_of_the_formatter() {
        let seconds = [
            0,
            951_782_400,
            1_767_225_599,
            253_402_300_799,
            253_402_300_800,
            -62_167_219_200,
            -62_167_219_201,
        ];
        for second in seconds {
            for nanos in [0, 1_000, 999_999_000, 120_000_000, 5_000_000, 1, 1_999_999_999] {
                let Some(at) = DateTime::from_timestamp(second, nanos) else {
                    continue;
                };
                assert_eq!(Exact::write(at), at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
            }
        }
    }

    #[test]
    fn a_time_is_read_with_any_offset_and_never_without_one() {
        let read = |text: &str| Stamp::<Exact>::parse_from_json(Some(Value::from(text)));
        let utc = read("2025-06-25T15:10:40Z").unwrap();
        assert_eq!(read("2025-06-25T17:10:40+02:00").unwrap(), utc);
        for wrong in ["", "2025-06-25", "2025-06-25T15:10:40", "yesterday"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(Stamp::<Exact>::parse_from_json(Some(Value::from(5))).is_err());
    }
}
