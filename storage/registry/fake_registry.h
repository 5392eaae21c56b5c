// A registry in the test's own process: holds blobs and manifests, asks for credentials, and misbehaves on demand.
#ifndef PODVISOR_STORAGE_REGISTRY_FAKE_REGISTRY_H_
#define PODVISOR_STORAGE_REGISTRY_FAKE_REGISTRY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "storage/content/digest.h"

namespace podvisor {

// HTTP/1.1 on 127.0.0.1 and a port that the kernel chooses. Thread-safe. The destructor cuts all connections.
class FakeRegistry {
 public:
  enum class Auth { kNone, kBasic, kToken };
  // What happens to a request, once per Misbehave().
  struct Fault {
    enum class Kind {
      kStatus,    // answers with `status`
      kTruncate,  // `bytes` of the content, then the connection is closed
      kCorrupt,   // the content with its last byte changed
      kStall,     // `bytes` of the content, then nothing until the client goes away
      kRedirect,  // 307 to `location`
      kShort,     // `bytes` of the content as if that were all
    };
    Kind kind = Kind::kStatus;
    int status = 500;
    size_t bytes = 0;
    std::string location;
    std::string retry_after = "0";
  };
  struct Request {
    std::string method, target, authorization, range, accept, custom;  // custom: of header X-Custom
  };

  FakeRegistry();
  FakeRegistry(const FakeRegistry&) = delete;
  FakeRegistry& operator=(const FakeRegistry&) = delete;
  ~FakeRegistry();

  std::string host() const;  // "127.0.0.1:PORT"
  std::string url() const { return "http://" + host(); }

  Digest PutBlob(const std::string& content);
  // `tag` may be empty. Also found by its digest.
  Digest PutManifest(const std::string& repository, const std::string& tag, const std::string& content,
                     const std::string& media_type);
  // Tokens are good for user "user" and password "secret", or refresh token "refresh".
  void SetAuth(Auth auth);
  enum class Ranges { kHonour, kIgnore };
  void SetRanges(Ranges ranges);
  // The next `times` requests whose target contains `part`.
  void Misbehave(const std::string& part, const Fault& fault, int times = 1);

  // Forgets all of that.
  void Behave();

  std::vector<Request> requests() const;
  // Requests whose target contains `part`.
  int Count(const std::string& part) const;
  // Blocks until a client waits in a stall.
  void AwaitStall();

 private:
  struct Server;
  struct Rule {
    std::string part;
    Fault fault;
    int times;
  };
  struct Answer {
    int status = 200;
    std::map<std::string, std::string> headers;
    std::string body;
  };
  Answer Respond(const Request& request, const std::string& body);
  Answer RespondContent(const Request& request);
  bool IsAuthorized(const Request& request, Answer& refusal);
  bool TakeFault(const std::string& target, Fault& fault);
  void Accept();
  void Serve(int index);

  std::unique_ptr<Server> server_;
  mutable absl::Mutex mu_;
  std::map<std::string, std::string> blobs_ ABSL_GUARDED_BY(mu_);                              // digest: content
  std::map<std::string, std::pair<std::string, std::string>> manifests_ ABSL_GUARDED_BY(mu_);  // "repo/reference"
  Auth auth_ ABSL_GUARDED_BY(mu_) = Auth::kNone;
  Ranges ranges_ ABSL_GUARDED_BY(mu_) = Ranges::kHonour;
  std::vector<Rule> rules_ ABSL_GUARDED_BY(mu_);
  std::vector<Request> requests_ ABSL_GUARDED_BY(mu_);
  int stalled_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace podvisor

#endif  // PODVISOR_STORAGE_REGISTRY_FAKE_REGISTRY_H_
