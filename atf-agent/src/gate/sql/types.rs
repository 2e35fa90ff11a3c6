//! R10 for types: the short list that a cast may name. Others run cast functions, look up the
//! catalog (`regclass`) or can be made large.

use sqlparser::ast::{
    CastFormat, CastKind, CharacterLength, DataType, DateTimeField, ExactNumberInfo, Expr,
    Interval, TimezoneInfo, Value, ValueWithSpan,
};

use super::agree::position;
use super::literals::literal;
use super::profile::Engine;
use super::query::refused;
use super::refusal::{Rule, SqlRefusal};

/// Longest text or number of a cast, in characters or digits: `char(n)` is padded to its length.
const LENGTH_MAX: u64 = 1_000;

/// Judges a cast.
pub(super) fn cast(
    kind: &CastKind,
    data_type: &DataType,
    format: Option<&CastFormat>,
) -> Result<(), SqlRefusal> {
    match kind {
        CastKind::Cast | CastKind::DoubleColon => {}
        CastKind::TryCast | CastKind::SafeCast => return Err(refused("TRY_CAST or SAFE_CAST")),
    }
    if format.is_some() {
        return Err(refused("CAST with FORMAT"));
    }
    allowed(data_type)
}

/// Judges a text with its type in front. What the parser takes for one may be a column and its alias: an alias
/// may be any word but a text in PostgreSQL, and may be a text as well in MySQL and SQLite, of which only MySQL
/// has such literals, of three types.
pub(super) fn typed(data_type: &DataType, value: &Value, engine: Engine) -> Result<(), SqlRefusal> {
    let known = match engine {
        Engine::Postgres => true,
        Engine::Mysql => matches!(
            data_type,
            DataType::Date
                | DataType::Time(None, TimezoneInfo::None)
                | DataType::Timestamp(None, TimezoneInfo::None)
        ),
        Engine::Sqlite => false,
    };
    if !known || !matches!(value, Value::SingleQuotedString(_)) {
        return Err(refused("a literal with a type in front that may be a column and its alias"));
    }
    allowed(data_type)
}

/// Judges an interval, which must be of a literal. Where nothing else can be meant, it is of a text or, in MySQL,
/// of a number; SQLite has none, see [`typed`].
pub(super) fn interval(interval: &Interval, engine: Engine) -> Result<(), SqlRefusal> {
    let Interval {
        value,
        leading_field,
        leading_precision: _,
        last_field,
        fractional_seconds_precision: _,
    } = interval;
    for field in leading_field.iter().chain(last_field) {
        date_field(field)?;
    }
    let Expr::Value(ValueWithSpan { value, span }) = &**value else {
        return Err(refused("INTERVAL of an expression"));
    };
    match (engine, value) {
        (Engine::Postgres | Engine::Mysql, Value::SingleQuotedString(_))
        | (Engine::Mysql, Value::Number(..)) => {}
        _ => return Err(refused("INTERVAL that may be a column and its alias")),
    }
    literal(value, position(*span))
}

fn refuse(what: &str) -> SqlRefusal {
    SqlRefusal::new(
        Rule::R10,
        None,
        what,
        "whole numbers, numeric, floating point, boolean, char, varchar, text, uuid, date, time, \
         timestamp, interval",
    )
}

fn length(length: Option<u64>) -> Result<(), SqlRefusal> {
    match length {
        Some(length) if length > LENGTH_MAX => Err(refuse("a type of great length")),
        Some(_) | None => Ok(()),
    }
}

fn characters(size: Option<&CharacterLength>) -> Result<(), SqlRefusal> {
    match size {
        None => Ok(()),
        Some(CharacterLength::IntegerLength { length: n, unit: _ }) => length(Some(*n)),
        Some(CharacterLength::Max) => Err(refuse("a type of length MAX")),
    }
}

fn digits(info: &ExactNumberInfo) -> Result<(), SqlRefusal> {
    match info {
        ExactNumberInfo::None => Ok(()),
        ExactNumberInfo::Precision(n) | ExactNumberInfo::PrecisionAndScale(n, _) => {
            length(Some(*n))
        }
    }
}

fn zone(zone: &TimezoneInfo) {
    match zone {
        TimezoneInfo::None
        | TimezoneInfo::WithTimeZone
        | TimezoneInfo::WithoutTimeZone
        | TimezoneInfo::Tz => {}
    }
}

/// Judges a type.
#[expect(clippy::too_many_lines, reason = "each type has its line")]
pub(super) fn allowed(data_type: &DataType) -> Result<(), SqlRefusal> {
    match data_type {
        DataType::Character(size)
        | DataType::Char(size)
        | DataType::CharacterVarying(size)
        | DataType::CharVarying(size)
        | DataType::Varchar(size) => characters(size.as_ref()),
        DataType::Numeric(info)
        | DataType::Decimal(info)
        | DataType::Dec(info)
        | DataType::Float(info)
        | DataType::Double(info) => digits(info),
        DataType::Int2(size)
        | DataType::SmallInt(size)
        | DataType::Int(size)
        | DataType::Int4(size)
        | DataType::Int8(size)
        | DataType::Integer(size)
        | DataType::BigInt(size)
        | DataType::Datetime(size) => length(*size),
        DataType::Time(size, zoned) | DataType::Timestamp(size, zoned) => {
            zone(zoned);
            length(*size)
        }
        DataType::Interval { fields: _, precision } => length(*precision),
        DataType::Uuid
        | DataType::Signed
        | DataType::SignedInteger
        | DataType::Unsigned
        | DataType::UnsignedInteger
        | DataType::Float4
        | DataType::Real
        | DataType::Float8
        | DataType::DoublePrecision
        | DataType::Bool
        | DataType::Boolean
        | DataType::Date
        | DataType::Text => Ok(()),
        DataType::Custom(_, _) | DataType::Regclass => Err(refuse("a type of the catalog")),
        DataType::JSON | DataType::JSONB => Err(refuse("a JSON type")),
        DataType::Table(_)
        | DataType::NamedTable { .. }
        | DataType::Nvarchar(_)
        | DataType::CharacterLargeObject(_)
        | DataType::CharLargeObject(_)
        | DataType::Clob(_)
        | DataType::Binary(_)
        | DataType::Varbinary(_)
        | DataType::Blob(_)
        | DataType::TinyBlob
        | DataType::MediumBlob
        | DataType::LongBlob
        | DataType::Bytes(_)
        | DataType::DecimalUnsigned(_)
        | DataType::BigNumeric(_)
        | DataType::BigDecimal(_)
        | DataType::DecUnsigned(_)
        | DataType::FloatUnsigned(_)
        | DataType::TinyInt(_)
        | DataType::TinyIntUnsigned(_)
        | DataType::UTinyInt
        | DataType::Int2Unsigned(_)
        | DataType::SmallIntUnsigned(_)
        | DataType::USmallInt
        | DataType::MediumInt(_)
        | DataType::MediumIntUnsigned(_)
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Int128
        | DataType::Int256
        | DataType::IntUnsigned(_)
        | DataType::Int4Unsigned(_)
        | DataType::IntegerUnsigned(_)
        | DataType::HugeInt
        | DataType::UHugeInt
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::UInt128
        | DataType::UInt256
        | DataType::BigIntUnsigned(_)
        | DataType::UBigInt
        | DataType::Int8Unsigned(_)
        | DataType::Float32
        | DataType::Float64
        | DataType::RealUnsigned
        | DataType::DoubleUnsigned(_)
        | DataType::DoublePrecisionUnsigned
        | DataType::Date32
        | DataType::Datetime64(_, _)
        | DataType::TimestampNtz(_)
        | DataType::TinyText
        | DataType::MediumText
        | DataType::LongText
        | DataType::String(_)
        | DataType::FixedString(_)
        | DataType::Bytea
        | DataType::Bit(_)
        | DataType::BitVarying(_)
        | DataType::VarBit(_)
        | DataType::Array(_)
        | DataType::Map(_, _, _)
        | DataType::Tuple(_)
        | DataType::Nested(_)
        | DataType::Enum(_, _)
        | DataType::Set(_)
        | DataType::Struct(_, _)
        | DataType::Union(_)
        | DataType::Nullable(_)
        | DataType::LowCardinality(_)
        | DataType::Unspecified
        | DataType::Trigger
        | DataType::AnyType
        | DataType::GeometricType(_)
        | DataType::TsVector
        | DataType::TsQuery => Err(refuse("a type of another kind")),
    }
}

/// Judges a part of a date, which engines take as a constant.
pub(super) fn date_field(field: &DateTimeField) -> Result<(), SqlRefusal> {
    match field {
        DateTimeField::Year
        | DateTimeField::Years
        | DateTimeField::Month
        | DateTimeField::Months
        | DateTimeField::Week(None)
        | DateTimeField::Weeks
        | DateTimeField::Day
        | DateTimeField::Days
        | DateTimeField::Hour
        | DateTimeField::Hours
        | DateTimeField::Minute
        | DateTimeField::Minutes
        | DateTimeField::Second
        | DateTimeField::Seconds
        | DateTimeField::Century
        | DateTimeField::Decade
        | DateTimeField::Dow
        | DateTimeField::Doy
        | DateTimeField::Epoch
        | DateTimeField::Quarter
        // `ceil(x)` without a field.
        | DateTimeField::NoDateTime => Ok(()),
        DateTimeField::Week(Some(_))
        | DateTimeField::DayOfWeek
        | DateTimeField::DayOfYear
        | DateTimeField::Date
        | DateTimeField::Datetime
        | DateTimeField::Isodow
        | DateTimeField::Isoyear
        | DateTimeField::IsoWeek
        | DateTimeField::Julian
        | DateTimeField::Microsecond
        | DateTimeField::Microseconds
        | DateTimeField::Millenium
        | DateTimeField::Millennium
        | DateTimeField::Millisecond
        | DateTimeField::Milliseconds
        | DateTimeField::Nanosecond
        | DateTimeField::Nanoseconds
        | DateTimeField::Time
        | DateTimeField::Timezone
        | DateTimeField::TimezoneAbbr
        | DateTimeField::TimezoneHour
        | DateTimeField::TimezoneMinute
        | DateTimeField::TimezoneRegion
        | DateTimeField::Custom(_) => Err(refuse("a part of a date of another kind")),
    }
}
