// The archive: objects, by namespace, name and version, each kept with the decoder that reproduces
// it.
//
//   std::unique_ptr<vxa::Archive> archive = *vxa::Archive::Open({.directory = "data", .decoder =
//   service}); std::unique_ptr<vxa::Upload> upload = *archive->Put({.name = "letters/1.txt"}, {});
//   upload->Append(bytes);
//   vxa::PutResult result = *upload->Finish(size, digest);  // proved and on disk
//
// An Archive may be used from any number of threads at once; an Upload by one at a time. How it
// lies on disk is told in FORMAT.md; errors in errors.h.
#ifndef ARCHIVE_ARCHIVE_H_
#define ARCHIVE_ARCHIVE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "archive/decoder_note.h"
#include "archive/digest.h"
#include "vxengine/decode_service.h"

namespace vxa {

// What a caller's deadline and hang-up mean for the work done for it; both stop decoders.
struct CallContext {
  absl::Time deadline = absl::InfiniteFuture();
  std::function<bool()>
      cancelled;       // may be empty; asked every now and then, from the calling thread
  std::string agent;   // who calls, as far as anybody knows; UTF-8, goes into records
  std::string client;  // with whom it shares turns to run decoders; all without are one
};

// A file's attributes where it came from. Kept as given.
struct SourceInfo {
  std::string path;  // any bytes
  std::optional<absl::Time> modified;
  uint32_t mode = 0;
};

using Metadata = std::vector<std::pair<std::string, std::string>>;  // sorted by key, keys unique

// How encoded bytes become an original.
struct Decoding {
  Digest decoder;                      // one that the namespace may use
  std::vector<std::string> arguments;  // argv[1] and on
  Digest original_digest;
  std::optional<uint64_t> original_size;
};

struct PutSpec {
  std::string ns = "default";
  std::string name;
  std::string codec = "auto";  // or the name of one (codec.h), for the bytes as they come
  // If there is one, those bytes are encoded: the object is what comes out.
  std::optional<Decoding> decoding;
  std::string media_type;  // empty: from what is recognised
  Metadata metadata;       // 64 KiB in all
  bool if_absent = false;
  std::optional<uint64_t> if_version;
  std::string request_id;  // up to 128 bytes
  SourceInfo source;
};

// What went through one decoder, and what that took.
struct DecodeCost {
  Digest decoder;
  std::string decoder_name;
  uint64_t decodes = 0;
  uint64_t encoded_bytes = 0;
  uint64_t decoded_bytes = 0;
  uint64_t instructions = 0;
  uint64_t peak_memory = 0;  // bytes, of the largest run
  absl::Duration time;
};

struct DecoderUse {
  Digest decoder;
  std::string name;   // empty if this program doesn't know it
  uint64_t size = 0;  // bytes of the ELF image
  DecoderNote note;   // by Stat only; empty where the image can't be had
};

struct View {
  enum class Status { kVerified = 1, kFailed = 2, kOverLimit = 3 };
  std::string name;
  Status status = Status::kFailed;
  std::string media_type;
  std::string extension;
  uint64_t size = 0;
  Digest digest;
  Digest decoder;
  std::vector<std::string> arguments;
  DecodeCost cost;
  std::string failure;
};

// What makes the original out of the stored form, which is what was put.
struct ObjectDecoding {
  Digest decoder;
  std::vector<std::string> arguments;
  uint64_t stored_form_size = 0;
  Digest stored_form_digest;
  DecodeCost cost;  // of the proof
};

// What became of trying to reproduce a version.
struct Verification {
  absl::Time time;
  bool reproduced = false;  // the original, and every view that was ever verified
  std::string detail;       // what is damaged, where and why
  std::string agent;
};

struct ObjectInfo {
  std::string ns;
  std::string name;
  uint64_t version = 0;
  bool delete_marker = false;
  uint64_t size = 0;
  Digest digest;
  std::string media_type;
  absl::Time created;
  std::string codec;  // "mixed" where chunks differ
  uint64_t stored_size = 0;
  uint64_t chunks = 0;
  std::vector<DecoderUse> decoders;
  std::vector<View> views;
  Metadata metadata;
  SourceInfo source;
  std::optional<ObjectDecoding> decoding;    // nothing: the stored form is the original
  std::optional<Verification> verification;  // the last one
};

struct PutResult {
  ObjectInfo object;
  bool unchanged = false;
  std::vector<DecodeCost> proof;
};

// An object on its way in. Destroying one that isn't finished gives it up: it never shows.
class Upload {
 public:
  virtual ~Upload() = default;

  // The next bytes of the original. Blocks while other uploads use up the ingest budget or the disk
  // is slow. After an error the upload is over.
  virtual absl::Status Append(std::string_view bytes) = 0;

  // Bytes of the original that are in the archive's files by now (not yet durable).
  virtual uint64_t persisted() const = 0;

  // Proves, commits and syncs. CHECKSUM_MISMATCH if what came differs from what the sender says it
  // sent, PROOF_FAILED if the decoder that the put names doesn't reproduce the original. REQUIRES:
  // called at most once.
  virtual absl::StatusOr<PutResult> Finish(uint64_t size, const Digest& digest) = 0;
};

enum class Form { kOriginal, kStored, kView };

struct ReadSpec {
  std::string ns = "default";
  std::string name;
  uint64_t version = 0;  // 0: the latest visible
  std::optional<uint64_t> if_version;
  Form form = Form::kOriginal;
  std::string view;  // empty: the first
  // Parameters by the note of the view's decoder, which gets them after those that are archived.
  // What comes out is not verified then.
  std::vector<std::string> view_arguments;
  uint64_t offset = 0;
  uint64_t limit = UINT64_MAX;  // bytes
};

struct ReadHeader {
  ObjectInfo object;
  uint64_t size = 0;  // of the whole form; 0, as the digest, where there are `view_arguments`
  Digest digest;      // of the whole form
  std::string media_type;
  std::string extension;
  bool preview = false;  // only part of a view's content, or a reduced one
};

// Where a read's bytes go. Called on the reading thread; blocking throttles the decoders. An error
// ends the read with that status.
class ReadSink {
 public:
  virtual ~ReadSink() = default;
  virtual absl::Status Begin(const ReadHeader& header) = 0;  // once, first
  virtual absl::Status Append(std::string_view bytes) = 0;
};

struct ReadResult {
  bool verified = false;  // all bytes given were checked against a digest kept at the put
  Digest digest;          // of the whole form
  std::vector<DecodeCost> cost;
};

struct ListSpec {
  std::string ns = "default";
  std::string prefix;
  std::string delimiter;
  uint32_t page_size = 1000;
  std::string page_token;
  bool versions = false;
};

struct ListResult {
  std::vector<ObjectInfo> objects;
  std::vector<std::string> prefixes;
  std::string next_page_token;  // empty: that was all
};

struct DeleteSpec {
  std::string ns = "default";
  std::string name;
  uint64_t version = 0;  // 0: hide the name
  std::optional<uint64_t> if_version;
  std::string request_id;
};

struct VerifySpec {
  std::string ns = "default";
  std::vector<std::string> names;  // none: all that begin with `prefix`
  std::string prefix;
  bool versions = false;  // every version; else the latest visible one of each name
};

struct VerifiedVersion {
  std::string name;
  uint64_t version = 0;
  absl::Status status;  // OK: reproduced; else what is damaged
  uint64_t size = 0;    // bytes of the original
  std::vector<DecodeCost> cost;
};

// Where a verification's results go. Called on the verifying thread. An error ends it.
class VerifySink {
 public:
  virtual ~VerifySink() = default;
  // `bytes` of this version are reproduced so far.
  virtual absl::Status Progress(const std::string& name, uint64_t version, uint64_t bytes) = 0;
  virtual absl::Status Verified(const VerifiedVersion& version) = 0;
};

struct VerifySummary {
  uint64_t objects = 0;  // versions
  uint64_t damaged = 0;
  uint64_t bytes = 0;  // of originals and views that were reproduced
};

// A decoder that a user brings. The views outlive the call.
struct RegisterSpec {
  std::string ns = "default";
  std::string_view image;  // ELF
  std::string name;        // what the user calls it, UTF-8, up to 64 bytes
  vx::Profile profile = vx::Profile::kVx2026;
  // What the trial run is given. Without a sample: nothing, and it need not succeed.
  std::optional<std::string_view> sample;
  std::vector<std::string> arguments;
  std::optional<Digest> sample_digest;  // of what must come out
};

struct DecoderInfo {
  enum class Origin { kBuiltIn = 1, kRegistered = 2 };
  Digest id;
  Origin origin = Origin::kBuiltIn;  // of this program, or an earlier one
  std::string name;                  // a registered one's is a claim
  uint64_t size = 0;                 // bytes of the ELF image
  vx::Profile profile = vx::Profile::kVx2026;
  absl::Time registered;      // kRegistered only, as the next
  std::string registered_by;  // agent
  bool approved = false;      // for use where nobody named it
  bool disabled = false;      // for new objects
  std::string disabled_reason;
  DecoderNote note;  // empty where the image can't be had
};

struct DecoderList {
  std::vector<DecoderInfo> decoders;  // in the order of their digests
  std::string next_page_token;        // empty: that was all
};

// What an operator says of a decoder.
struct DecoderRuling {
  Digest decoder;
  bool approved = false;
  bool disabled = false;
  std::string reason;
};

// What decoders may take, beside what the format itself bounds. None of it keeps a decoder from
// taking what it took when it was proved.
struct DecodeLimits {
  int concurrent = 4;                         // that run at once; further ones wait
  int queue = 64;                             // that wait to begin; further ones are OVERLOADED
  uint64_t memory = uint64_t{1} << 30;        // bytes of a guest's, where nothing else is archived
  uint64_t output = uint64_t{64} << 30;       // bytes, where the size isn't known
  uint64_t diagnostics = uint64_t{64} << 10;  // bytes that are kept of what it says, 64 KiB at most
  // Where it wasn't proved yet.
  absl::Duration cpu_time = absl::Hours(1);
  // Without input taken or output given, while neither sender nor receiver is waited for.
  absl::Duration stalled = absl::Minutes(10);
};

// Decoders at this moment.
struct DecodeLoad {
  size_t running = 0;
  size_t waiting = 0;  // for their turn
};

struct ArchiveOptions {
  std::string directory;                   // made if it isn't there
  vx::DecodeService* decoder = nullptr;    // outlives the archive
  uint64_t pack_size = uint64_t{1} << 30;  // bytes after which a pack is sealed
  uint64_t ingest_budget = uint64_t{64}
                           << 20;  // bytes that all uploads together may hold in memory
  DecodeLimits decodes;
};

class Archive {
 public:
  // Opens or makes an archive and brings its index up to date with its packs. FAILED_PRECONDITION
  // if another process has it open, or it is of a version that this program doesn't know.
  static absl::StatusOr<std::unique_ptr<Archive>> Open(ArchiveOptions options);
  virtual ~Archive() = default;  // REQUIRES: no upload and no call is left

  virtual absl::StatusOr<std::unique_ptr<Upload>> Put(PutSpec spec, CallContext context) = 0;
  virtual absl::StatusOr<ReadResult> Read(const ReadSpec& spec, ReadSink& sink,
                                          const CallContext& context) = 0;
  virtual absl::StatusOr<ObjectInfo> Stat(const std::string& ns, const std::string& name,
                                          uint64_t version) = 0;
  virtual absl::StatusOr<ListResult> List(const ListSpec& spec) = 0;

  // The version of the delete marker made, or of what was removed.
  virtual absl::StatusOr<uint64_t> Delete(const DeleteSpec& spec) = 0;

  // Reproduces objects from what is stored and records the outcomes. Damage is a result; an error
  // is the caller's, the sink's, or that outcomes can't be recorded.
  virtual absl::StatusOr<VerifySummary> Verify(const VerifySpec& spec, VerifySink& sink,
                                               const CallContext& context) = 0;

  // Makes a decoder known to a namespace. DECODER_REJECTED, saying why, if its image, profile or
  // trial run is wrong.
  virtual absl::StatusOr<DecoderInfo> RegisterDecoder(const RegisterSpec& spec,
                                                      const CallContext& context) = 0;

  // DECODER_NOT_FOUND for one that the namespace may not use.
  virtual absl::StatusOr<DecoderInfo> StatDecoder(const std::string& ns, const Digest& id) = 0;
  virtual absl::StatusOr<std::string> ReadDecoder(const std::string& ns, const Digest& id) = 0;

  // `page_size`: 0 or more than 1,000 is 1,000.
  virtual absl::StatusOr<DecoderList> ListDecoders(const std::string& ns, uint32_t page_size,
                                                   const std::string& page_token) = 0;

  // Thread-safe, as all is.
  virtual DecodeLoad Load() = 0;

  // An operator's word, for all namespaces. DECODER_NOT_FOUND if there is no such decoder.
  virtual absl::Status Rule(const DecoderRuling& ruling, const CallContext& context) = 0;
};

}  // namespace vxa

#endif  // ARCHIVE_ARCHIVE_H_
