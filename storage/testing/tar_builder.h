// Layers and images for tests.
#ifndef PODVISOR_STORAGE_TESTING_TAR_BUILDER_H_
#define PODVISOR_STORAGE_TESTING_TAR_BUILDER_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace podvisor {

// One entry; the members that do not belong to its type are ignored.
struct TarEntry {
  char type = '0';  // of ustar: '0' file, '1' hard link, '2' symlink, '3' and '4' devices, '5' folder, '6' FIFO
  std::string name;
  std::string content;
  std::string link;
  mode_t mode = 0644;
  uint64_t uid = 0, gid = 0;
  time_t mtime = 1000000000;
  unsigned int major = 0, minor = 0;
  std::map<std::string, std::string> pax;  // extra records: "SCHILY.xattr.user.x"
};

// A tar with these entries as they are: nothing is cleaned or checked, headers are written byte by byte, for names
// that a well-meaning library would not write. Long names become pax records.
std::string MakeTar(const std::vector<TarEntry>& entries);

enum class Compression { kNone, kGzip, kZstd };
std::string Compress(const std::string& data, Compression compression);

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_TESTING_TAR_BUILDER_H_
