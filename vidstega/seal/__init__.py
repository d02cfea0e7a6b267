"""The sealed format: how a payload becomes bytes that say nothing without the key. Version 2.

Frozen by ``tests/golden/seal.json``. To anyone without the key every byte below is uniform noise: no magic,
no length and no version in clear. Integers are unsigned and big-endian (u8, u32, u64); ``a | b`` puts `b`
after `a`. Where these bytes lie in a video is the business of a carrier, which specifies it for itself.

Keys (`keys`)
    A passphrase is NFC-normalised and encoded as UTF-8. Bytes that are valid UTF-8 are a passphrase too,
    so that one passphrase is one key whatever way it came; a leading byte order mark does not count. Other
    bytes are taken as they are. The key goes through scrypt (n = 2^15, r = 8, p = 1, 32 bytes) with a
    random `salt` of 16 bytes; of the result, HKDF-SHA256 without salt, with the info ``"vidstega " |
    label``, makes one subkey for each label. **One salt seals one payload once**, so that no counted nonce
    below is ever used twice.

Header (`header`): AES-SIV (RFC 5297, 16 bytes before the text) under the subkey "header" of 64 bytes
    Associated data: the name of the family that carries. Plaintext: ``version u8 = 2 | fields``, where the
    fields are the family's. SIV, because one salt may see several headers while plans are tried.

Sealed stream (`stream`): AES-256-GCM (tag last) under the subkey "body"
    The plain stream in chunks of 64 KiB, the last one what is left; there is always one, which may be
    empty. Nonce ``index u88 | last u8``, where `last` is 1 for the last chunk (the STREAM construction of
    Hoang, Reyhanitabar, Rogaway and Vizár, 2015), associated data ``version u8``.

Plain stream (`blocks`)
    Blocks of 1 to 256 KiB of payload each: ``u32 | bytes``, the top bit of the u32 saying *deflated*
    and the others how many bytes follow (1 to 256 KiB). Deflated bytes are raw deflate (RFC 1951, no
    wrapper) with the 32 KiB of payload before the block as preset dictionary. A block is deflated only
    if that is smaller. Which of several possible deflations was chosen is not part of the format.

Padding
    Room that is left after the stream is filled: byte `p`, counted from the start of the stream, is byte
    ``p mod 64 KiB`` of the keystream under the subkey "padding" with the nonce ``p div 64 KiB`` as u64.

Any change to header or stream (flipped, cut, appended, reordered, taken from another message) is found;
the answer is the exact payload or `PayloadError`.
"""

from vidstega.seal.header import HEADER_OVERHEAD, open_header, seal_header
from vidstega.seal.keys import SALT_BYTES, Key, Keys, new_salt
from vidstega.seal.keystream import KeyedRandom, KeyStream
from vidstega.seal.stream import (
    LEAST_STREAM_BYTES,
    Sealed,
    Unsealer,
    largest_payload,
    most_read,
    padding,
    seal,
    sealed_bytes,
)
