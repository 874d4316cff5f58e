//! Unpacking of compressed kernels, with a bound: a few bytes can claim to hold terabytes.

use super::error::BootError;
use super::file::BootFile;
use super::kind::Packing;
use std::io::{self, Read};

fn read_all(reader: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut out)?;
    Ok(out)
}

fn unpack_stream(packing: Packing, input: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    /// What a decoder may take for its own tables.
    const DECODER_BYTES: u64 = 256 << 20;
    match packing {
        Packing::Gzip => read_all(flate2::read::GzDecoder::new(input), limit),
        Packing::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(DECODER_BYTES, 0)?;
            read_all(liblzma::read::XzDecoder::new_stream(input, stream), limit)
        }
        Packing::Lzma => {
            let stream = liblzma::stream::Stream::new_lzma_decoder(DECODER_BYTES)?;
            read_all(liblzma::read::XzDecoder::new_stream(input, stream), limit)
        }
        Packing::Zstd => read_all(zstd::stream::read::Decoder::new(input)?.single_frame(), limit),
    }
}

/// Unpacks bytes of `file`. More than `limit` bytes are refused: they would not fit into RAM.
pub(super) fn unpack(
    file: &BootFile,
    packing: Packing,
    offset: u64,
    len: Option<u64>,
    limit: u64,
) -> Result<BootFile, BootError> {
    let len = len.unwrap_or(file.all().len().saturating_sub(offset));
    let input = io::BufReader::new(file.reader(offset, len)?);
    let bytes = unpack_stream(packing, input, limit)
        .map_err(|e| file.damaged(format!("it does not unpack ({e})")))?;
    if bytes.len() as u64 > limit {
        let need = bytes.len() as u64;
        return Err(BootError::TooLarge {
            role: file.role,
            path: file.path.clone(),
            need,
            at: crate::board::map::RAM_BASE,
            room: limit,
        });
    }
    if bytes.is_empty() {
        return Err(file.damaged("it unpacks to nothing"));
    }
    Ok(file.unpacked(bytes))
}
