// An object on its way in: cut into chunks, each encoded, written and proved while the next one
// comes; in the end its view is made and its manifest committed.
#ifndef ARCHIVE_UPLOAD_H_
#define ARCHIVE_UPLOAD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "archive/changes.h"
#include "archive/codec.h"
#include "archive/core.h"
#include "archive/recognizer.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa {

// Chunks that a chunk list has at most, and that a manifest names itself before it uses lists.
inline constexpr int kMaxChunksPerList = 4096;
inline constexpr int kMaxInlineChunks = 64;

class ChunkedUpload : public Upload {
 public:
  // REQUIRES: a spec that has been checked. `codec` is null for "auto", `object_decoder` the image
  // of spec.decoding's decoder, if there is one, and `profile` the one that it has. `core` outlives
  // it.
  ChunkedUpload(Core& core, PutSpec spec, const Codec* codec,
                std::shared_ptr<const std::string> object_decoder, vx::Profile profile,
                CallContext context);

  absl::Status Append(std::string_view bytes) override;
  uint64_t persisted() const override { return persisted_; }
  absl::StatusOr<PutResult> Finish(uint64_t size, const Digest& digest) override;

 private:
  absl::Status MakeRoom(uint64_t bytes);
  absl::Status FlushChunk();
  std::vector<const Codec*> CodecsToTry() const;
  absl::Status StoreChunk(const Codec& codec, std::string encoded, const Digest& digest);
  absl::Status FlushChunkList();
  absl::Status AppendBytes(std::string_view bytes);
  absl::StatusOr<PutResult> Commit(const Digest& digest);
  absl::Status CompleteManifest(const Digest& digest);
  Content ContentOf(const Digest& digest) const;
  absl::Status ProveOriginal();
  absl::Status AddView();
  absl::StatusOr<PutResult> Existing(uint64_t version);
  bool HasView() const { return format_ != nullptr && !format_->decoder.empty(); }
  // Whether the whole is decoded once more before the commit.
  bool NeedsStoredForm() const { return spec_.decoding || HasView(); }
  void Remember(const Digest& digest, const Location& location);
  Locator LocatorOfParts() const;

  Core& core_;
  const PutSpec spec_;
  const Codec* const codec_;
  const CallContext context_;
  const std::shared_ptr<const std::string> object_decoder_;  // the image that the put names

  const std::unique_ptr<vx::DecodeSession> encoding_;  // of the chunks' encoders
  const std::unique_ptr<vx::DecodeSession> proving_;   // of their proofs

  IngestBudget::Share share_;
  uint64_t room_ = 0;    // bytes that the share allows the buffer
  std::string buffer_;   // the chunk that is being filled
  std::string head_;     // the object's beginning, once there is a chunk and if encoders need it
  absl::Status failed_;  // an upload that has failed stays so
  Hasher hasher_;
  uint64_t size_ = 0;
  uint64_t persisted_ = 0;
  const Format* format_ = nullptr;
  std::string media_type_ = "application/octet-stream";  // recognised

  archive::v1::Manifest manifest_;
  archive::v1::ChunkList chunks_;                // not in any list yet
  std::map<Digest, DecoderImage> decoders_;      // those it needs
  std::map<uint32_t, Location> last_in_pack_;    // its last record in each pack
  std::map<Digest, Location> parts_;             // decoders; chunks and lists if a view needs them
  std::map<std::string_view, uint64_t> codecs_;  // how many chunks each has
  CostSheet proof_;
};

}  // namespace vxa

#endif  // ARCHIVE_UPLOAD_H_
