// What a manifest, or the index alone, tells of an object's version.
#ifndef ARCHIVE_OBJECT_INFO_H_
#define ARCHIVE_OBJECT_INFO_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "archive/index.h"
#include "archive/pack_files.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa {

// Reads the manifest of a version. DATA_DAMAGED, naming the object, if it can't be had.
absl::StatusOr<archive::v1::Manifest> ReadManifest(PackFiles& packs, const std::string& ns,
                                                   const std::string& name, uint64_t version,
                                                   const IndexVersion& entry);

ObjectInfo ToObjectInfo(const archive::v1::Manifest& manifest);

// Adds what the last verification of the object's version said.
absl::Status AddVerification(const IndexView& state, ObjectInfo& info);

// Of a delete marker all that there is, of other versions what the index knows.
ObjectInfo ToObjectInfo(const std::string& ns, const std::string& name, uint64_t version,
                        const IndexVersion& entry);

}  // namespace vxa

#endif  // ARCHIVE_OBJECT_INFO_H_
