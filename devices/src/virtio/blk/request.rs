//! Parsing of requests, section 5.2.6. Sectors and lengths are the guest's word and checked against the disk.

use crate::block::{DiskOp, SECTOR};
use crate::virtio::chain::{Chain, ChainError};
use engine::mem::ram::GuestRam;
use serde::{Deserialize, Serialize};

/// Status byte: done.
pub(super) const OK: u8 = 0;
/// Status byte: the request failed.
pub(super) const IOERR: u8 = 1;
/// Status byte: the device does not know the request.
pub(super) const UNSUPP: u8 = 2;

/// Bytes of one piece of a transfer.
pub(super) const PIECE: u64 = 1 << 20;
/// Ranges in one discard or zero-write request.
pub(super) const MAX_RANGES: u64 = 16;
/// Sectors in one range: 1 GiB.
pub(super) const MAX_RANGE_SECTORS: u32 = 1 << 21;
/// Bytes of the name that `GET_ID` gives.
pub(super) const ID_BYTES: usize = 20;

const HEADER: u64 = 16;
const RANGE: u64 = 16;
const T_IN: u32 = 0;
const T_OUT: u32 = 1;
const T_FLUSH: u32 = 4;
const T_GET_ID: u32 = 8;
const T_DISCARD: u32 = 11;
const T_WRITE_ZEROES: u32 = 13;
const FLAG_UNMAP: u32 = 1;

/// What a request wants.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Kind {
    Read,
    Write,
    Flush,
    Discard(Vec<(u64, u64)>),
    WriteZeroes(Vec<(u64, u64, bool)>),
    GetId,
}

/// A request under way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub chain: Chain,
    pub kind: Kind,
    /// First byte on the disk.
    pub start: u64,
    /// Bytes to transfer.
    pub total: u64,
    /// Bytes transferred.
    pub done: u64,
}

/// What the disk allows.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub size: u64,
    pub read_only: bool,
}

/// The outcome of parsing: a request to run, or the status to give back at once.
pub(super) type Parsed = Result<Request, (Chain, u8)>;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// Reads a request. An error means that there is not even room for a status.
pub(super) fn parse(chain: Chain, ram: &GuestRam, limits: Limits) -> Result<Parsed, ChainError> {
    let mut header = [0; HEADER as usize];
    chain.read(ram, 0, &mut header)?;
    let room = chain.writable().checked_sub(1).ok_or(ChainError::Short)?;
    let payload = chain.readable() - HEADER;
    let start = u64_at(&header, 8).checked_mul(SECTOR);
    let (kind, start, total) = match u32_at(&header, 0) {
        T_IN => (Ok(Kind::Read), start, room),
        T_OUT => (Ok(Kind::Write), start, payload),
        T_FLUSH => (Ok(Kind::Flush), Some(0), 0),
        T_GET_ID => (Ok(Kind::GetId), Some(0), 0),
        T_DISCARD => (ranges(&chain, ram, payload, limits, 0)?.map(discards), Some(0), 0),
        T_WRITE_ZEROES => {
            (ranges(&chain, ram, payload, limits, FLAG_UNMAP)?.map(Kind::WriteZeroes), Some(0), 0)
        }
        _ => (Err(UNSUPP), Some(0), 0),
    };
    let writes = !matches!(kind, Ok(Kind::Read | Kind::GetId | Kind::Flush));
    let end = start.and_then(|s| s.checked_add(total));
    Ok(match (kind, start, end) {
        (Err(status), ..) => Err((chain, status)),
        (Ok(_), ..) if writes && limits.read_only => Err((chain, IOERR)),
        (Ok(kind), Some(start), Some(end)) if end <= limits.size && total.is_multiple_of(SECTOR) => {
            Ok(Request { chain, kind, start, total, done: 0 })
        }
        _ => Err((chain, IOERR)),
    })
}

fn discards(ranges: Vec<(u64, u64, bool)>) -> Kind {
    Kind::Discard(ranges.into_iter().map(|(start, len, _)| (start, len)).collect())
}

type Ranges = Result<Vec<(u64, u64, bool)>, u8>;

/// The ranges of a discard or zero-write request; `allowed` are the flags that may be set.
fn ranges(
    chain: &Chain,
    ram: &GuestRam,
    payload: u64,
    limits: Limits,
    allowed: u32,
) -> Result<Ranges, ChainError> {
    if payload == 0 || payload > RANGE * MAX_RANGES || !payload.is_multiple_of(RANGE) {
        return Ok(Err(IOERR));
    }
    let mut bytes = vec![0; payload as usize];
    chain.read(ram, HEADER, &mut bytes)?;
    Ok(bytes.chunks_exact(RANGE as usize).map(|r| range(r, limits, allowed)).collect())
}

fn range(bytes: &[u8], limits: Limits, allowed: u32) -> Result<(u64, u64, bool), u8> {
    let (sectors, flags) = (u32_at(bytes, 8), u32_at(bytes, 12));
    if flags & !allowed != 0 {
        return Err(UNSUPP);
    }
    let start = u64_at(bytes, 0).checked_mul(SECTOR).ok_or(IOERR)?;
    let len = sectors as u64 * SECTOR;
    let fits = start.checked_add(len).is_some_and(|end| end <= limits.size);
    if sectors > MAX_RANGE_SECTORS || !fits {
        return Err(IOERR);
    }
    Ok((start, len, flags & FLAG_UNMAP != 0))
}

impl Request {
    /// Bytes of the piece that is under way.
    pub fn piece(&self) -> u64 {
        self.total.saturating_sub(self.done).min(PIECE)
    }

    /// The next thing to ask of the disk.
    pub fn next_op(&self, ram: &GuestRam, through: bool) -> Result<DiskOp, ChainError> {
        let offset = self.start.saturating_add(self.done);
        Ok(match &self.kind {
            Kind::Read => DiskOp::Read { offset, len: self.piece() as u32 },
            Kind::Write => {
                let mut data = vec![0; self.piece() as usize];
                self.chain.read(ram, HEADER + self.done, &mut data)?;
                DiskOp::Write { offset, data, through }
            }
            Kind::Discard(ranges) => DiskOp::Discard(ranges.clone()),
            Kind::WriteZeroes(ranges) => DiskOp::WriteZeroes(ranges.clone()),
            Kind::Flush | Kind::GetId => DiskOp::Flush,
        })
    }

    /// Whether a restored request is one that [`parse`] could have made.
    pub fn is_sound(&self, ram: &GuestRam, limits: Limits) -> bool {
        let ranges_fit = match &self.kind {
            Kind::Discard(r) => r.iter().all(|&(s, l)| s.checked_add(l).is_some_and(|e| e <= limits.size)),
            Kind::WriteZeroes(r) => {
                r.iter().all(|&(s, l, _)| s.checked_add(l).is_some_and(|e| e <= limits.size))
            }
            _ => true,
        };
        let end = self.start.checked_add(self.total);
        ranges_fit
            && self.chain.check(ram).is_ok()
            && end.is_some_and(|e| e <= limits.size)
            && self.done <= self.total
            && self.chain.writable() > 0
    }
}
