// What the commands print for people.
#ifndef CLIENT_REPORT_H_
#define CLIENT_REPORT_H_

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

}  // namespace vxa::client

#endif  // CLIENT_REPORT_H_
