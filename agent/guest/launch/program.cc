#include "agent/guest/launch/program.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace podvisor::guest {
namespace {

constexpr char kDefaultPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Go's words for an errno are the kernel's in lower case.
std::string Reason(int error) {
  std::string text = ::strerror(error);
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

absl::StatusCode CodeOf(int error) {
  if (error == ENOENT || error == ENOTDIR) return absl::StatusCode::kNotFound;
  if (error == EACCES || error == EPERM || error == EISDIR) return absl::StatusCode::kPermissionDenied;
  return absl::StatusCode::kInvalidArgument;
}

absl::Status Problem(const std::string& name, absl::StatusCode code, const std::string& reason) {
  return absl::Status(code, absl::StrCat("exec: \"", name, "\": ", reason));
}

// 0 or an errno value.
int Check(const std::string& path, bool* exists) {
  struct stat info;
  *exists = ::stat(path.c_str(), &info) == 0;
  if (!*exists) return errno;
  if (S_ISDIR(info.st_mode)) return EISDIR;
  return (info.st_mode & 0111) != 0 ? 0 : EACCES;
}

std::string PathOf(const std::vector<std::string>& environment) {
  for (const std::string& variable : environment) {
    if (variable.rfind("PATH=", 0) == 0) return variable.substr(5);
  }
  return kDefaultPath;
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

absl::StatusOr<std::string> FindProgram(const std::string& name, const std::vector<std::string>& environment) {
  bool exists = false;
  if (name.find('/') != std::string::npos) {
    const int error = Check(name, &exists);
    if (error == 0) return name;
    return Problem(name, CodeOf(error), exists ? Reason(error) : absl::StrCat("stat ", name, ": ", Reason(error)));
  }
  const std::string path = PathOf(environment);
  absl::string_view rest = path;
  bool denied = false;
  while (!name.empty()) {
    const size_t end = rest.find(':');
    const absl::string_view folder = rest.substr(0, end);
    const std::string candidate = absl::StrCat(folder.empty() ? "." : folder, "/", name);
    const int error = Check(candidate, &exists);
    if (error == 0) return candidate;
    denied |= error == EACCES;
    if (end == absl::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  if (denied) return Problem(name, absl::StatusCode::kPermissionDenied, "permission denied");
  return Problem(name, absl::StatusCode::kNotFound, "executable file not found in $PATH");
}

absl::Status Execute(const std::string& program, const std::vector<std::string>& args,
                     const std::vector<std::string>& environment) {
  ::execve(program.c_str(), Pointers(args).data(), Pointers(environment).data());
  const int error = errno;
  return absl::Status(CodeOf(error), absl::StrCat("exec ", program, ": ", Reason(error)));
}

}  // namespace podvisor::guest
