/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Where every byte of a trace stands, and every ceiling. No code. docs/format.md says the same in
 * words; all integers are little-endian, "varint" is LEB128 of at most 10 bytes.
 *
 * A file is a sequence of blocks, each 8-byte aligned:
 *
 *   block header, 40 bytes
 *    0  u32 magic           "TTB1"
 *    4  u8  type            enum tape_block
 *    5  u8  flags           TAPE_BLOCK_*
 *    6  u16 hdr_len         bytes of type header that follow
 *    8  u32 payload_len     bytes of payload after the type header; then zeros to a multiple of 8
 *   12  u32 seq             number of this block, from 0; a gap is a lost block
 *   16  u64 file_id         random; the same in all blocks of a file
 *   24  u64 payload_xxh3    XXH3_64bits of the payload
 *   32  u64 head_xxh3       XXH3_64bits of the 32 bytes before it, then the type header
 *   40  type header, payload, padding
 */
#ifndef TAPE_LAYOUT_H
#define TAPE_LAYOUT_H

#define TAPE_MAGIC 0x31425454u /* "TTB1"; other digits: other versions of the block header */
#define TAPE_VERSION_MAJOR 1   /* other: refuse the file */
#define TAPE_VERSION_MINOR 0   /* larger: things were appended */

enum tape_block {
	TAPE_BLOCK_FILE = 1, /* first */
	TAPE_BLOCK_SCHEMA = 2,
	TAPE_BLOCK_META = 3,
	TAPE_BLOCK_CLOCK = 4,
	TAPE_BLOCK_CHUNK = 5,
	TAPE_BLOCK_LOSS = 6,
	TAPE_BLOCK_SNAPSHOT = 7, /* laid out as CHUNK: what exists, not what happened */
	TAPE_BLOCK_MARK = 8,	 /* reserved */
	TAPE_BLOCK_INDEX = 9,
	TAPE_BLOCK_END = 10, /* last of a file that was closed */
};

#define TAPE_BLOCK_HEAD_LEN 40
#define TAPE_BLOCK_ANCILLARY 0x01 /* a reader that does not know the type skips the block */
#define TAPE_BLOCK_ZSTD 0x02	  /* the payload is one zstd frame (SCHEMA and META only) */
#define TAPE_BLOCK_KNOWN_FLAGS 0x03

/*
 * FILE type header: 0 u16 major, 2 u16 minor, 4 u32 n_cpus, 8 u64 start_ns (CLOCK_MONOTONIC),
 * payload: name and version of the writer, UTF-8. SCHEMA, META: no type header; payload text. CLOCK
 * type header: 0 u64 mono_ns, 8 u64 real_ns, 16 u64 boot_ns, 24 u64 uncertainty_ns: three clocks
 * read together. LOSS: no type header; payload records of 40 bytes: 0 u64 from_ns, 8 u64 to_ns, 16
 * u64 count, 24 u32 cpu (0xffffffff unknown), 28 u8 reason, 29 u8 zero[3], 32 u8 group[8]
 * (NUL-padded name, "" unknown)
 */
#define TAPE_FILE_HEAD_LEN 16
#define TAPE_CLOCK_HEAD_LEN 32
#define TAPE_LOSS_LEN 40
#define TAPE_CPU_UNKNOWN 0xffffffffu

enum tape_loss_reason {
	TAPE_LOSS_RING = 1,	  /* the ring had no room */
	TAPE_LOSS_RECURSION = 2,  /* the kernel skipped a program that was already running there */
	TAPE_LOSS_MISSED = 3,	  /* a kprobe was not taken (nmissed) */
	TAPE_LOSS_UNRECORDED = 4, /* the recorder could not write it (disk full, damaged record) */
	TAPE_LOSS_DAMAGED = 5,	  /* it stood in a damaged part of the file (tcptape repair) */
	TAPE_LOSS_UNTOLD = 6,	  /* lost when recorded; the record of why was damaged */
	TAPE_LOSS_BUDGET = 7, /* of a connection left out, as there were too many events (rate) */
	TAPE_LOSS_SELECT = 8, /* a connection that a selection had no room for; count is of these */
};

/*
 * CHUNK and SNAPSHOT type header:
 *    0 u64 ts_min, 8 u64 ts_max   smallest and largest time in it
 *   16 u64 ts_floor               nothing earlier than this follows in the file, but stragglers
 *   24 u64 first_event            events in CHUNK blocks before this one
 *   32 u64 lost                   events lost since the start, as far as known
 *   40 u32 n_events
 *   44 u32 n_stragglers           events earlier than the floor of the chunk before
 *   48 u16 n_records              entries of the count list
 *   50 u16 n_columns              entries of the column directory
 *   52 u32 flags                  TAPE_CHUNK_*
 *   56 count list: per record type present, by rising id: varint id, varint n_rows
 *      column directory, in payload order: per column
 *        u8 entry_len (bytes after this one), varint record id, varint field, u8 transform,
 *        u8 layout, u8 flags, varint raw_len, varint stored_len; of a predicted column: varint of,
 *        varint plus, varint key, varint turn
 */
#define TAPE_CHUNK_HEAD_LEN 56
#define TAPE_CHUNK_SINGLE 0x01 /* the payload is one zstd frame over all column bodies */
#define TAPE_CHUNK_KNOWN_FLAGS 0x01

#define TAPE_ORIGINS 128 /* field number of a table's origins: first numbers of its streams */

#define TAPE_COLUMN_ZSTD 0x01 /* this column's body is one zstd frame */
#define TAPE_COLUMN_KNOWN_FLAGS 0x01
/* Less a field's number: the number of its column where repair found that damaged. No field has it.
 */
#define TAPE_FIELD_DAMAGED 65535u

/*
 * INDEX payload: varint n; then per CHUNK and SNAPSHOT block: varint offset (difference to the
 * entry before), varint length / 8, u8 type, varint ts_min (difference to the entry before,
 * zigzag), varint ts_max - ts_min, varint ts_max - ts_floor (zigzag), varint n_records, then varint
 * id, varint n_rows each. END type header: 0 u64 index_offset (0 none), 8 u64 n_events, 16 u64
 * lost, 24 u64 end_ns, and payload: u64 offset of this END block, "TTEND1\0\0": the last 16 bytes
 * of the file.
 */
#define TAPE_END_HEAD_LEN 32
#define TAPE_TAIL_LEN 16
#define TAPE_TAIL_MAGIC "TTEND1\0"

/* ---- ceilings ---- */
#define TAPE_MAX_PAYLOAD (64u << 20)	/* one block; more is damage, and bounds what we allocate */
#define TAPE_MAX_TEXT (1u << 20)	/* SCHEMA or META, decompressed */
#define TAPE_MAX_RECORDS 256		/* record types in a schema; real files have about 40 */
#define TAPE_MAX_FIELDS 128		/* fields of one record type */
#define TAPE_MAX_NAMES 16384		/* named values; drop reasons are some hundreds */
#define TAPE_MAX_EVENTS (1u << 20)	/* in a chunk */
#define TAPE_MAX_COLUMNS 1024		/* in a chunk */
#define TAPE_MAX_CHUNK_RAW (32u << 20)	/* all column bodies of a chunk, decompressed */
#define TAPE_MAX_CHUNK_ROWS (64u << 20) /* all decoded columns of a chunk */
#define TAPE_MAX_STR 4096		/* one string value */
#define TAPE_MAX_EVENTS_PER_BYTE 4	/* n_events / bytes of the block: no bomb of constants */
#define TAPE_MAX_ROWS_PER_EVENT 4	/* of one table: an event refers to few sockets */
#define TAPE_MAX_CLOCKS (1u << 20)
#define TAPE_MAX_LOSSES (1u << 20)
#define TAPE_MAX_META 4096	      /* keys */
#define TAPE_MAX_META_TEXT (4u << 20) /* all META blocks, decompressed: 40 bytes can hold 1 MiB */

#endif
