// What the commands print for people.
#ifndef CLIENT_REPORT_H_
#define CLIENT_REPORT_H_

#include <map>
#include <string>
#include <vector>

#include "client/client.h"

namespace vxa::client {

// Several lines each, the last with a newline. Texts of the server's are made safe for a terminal.
std::string PutReport(const v1::WriteObjectResult& result);
std::string StatReport(const v1::Object& object);

// `ls -l`: a table with a heading.
std::string LongListing(const std::vector<v1::Object>& objects);

// Which bytes came through which archived decoder, and what that took.
std::string CostReport(const v1::ReadObjectRequest& request, const GetResult& result);

// What became of one version: one line.
std::string VerifiedLine(const v1::VerifiedObject& object);

// All of a verification in a line. `missing`: names that aren't there.
std::string VerifySummaryLine(const v1::VerifySummary& summary, uint64_t missing);

// "sha256:<hex>  xor  registered 2026-02-03T04:05:06Z by ipv4:127.0.0.1:4711", without newline.
std::string DecoderLine(const v1::Decoder& decoder);

// `decoder ls -l`: a table with a heading.
std::string DecoderListing(const std::vector<v1::Decoder>& decoders);

// Where sources of decoders are archived: names of objects by their digests (v1::Digest's value).
using ArchivedSources = std::map<std::string, std::string>;

std::string DecoderReport(const v1::Decoder& decoder, const ArchivedSources& archived);

std::string ServerReport(const v1::ServerStatus& status);

}  // namespace vxa::client

#endif  // CLIENT_REPORT_H_
