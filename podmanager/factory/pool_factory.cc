#include "podmanager/factory/pool_factory.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "podmanager/factory/start_vm.h"
#include "podmanager/factory/template_factory.h"

namespace podvisor {

namespace {

constexpr absl::Duration kFirstPause = absl::Seconds(1);
constexpr absl::Duration kLongestPause = absl::Minutes(5);
// How soon it is looked again whether requests have become fewer.
constexpr absl::Duration kRequestsUnderWay = absl::Milliseconds(100);
// How soon it is asked again for a template that could not be made; whose own pauses may be longer.
constexpr absl::Duration kTemplateRetry = absl::Seconds(30);

int Processors() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

}  // namespace

PoolFactory::PoolFactory(const FactoryParts& parts, TemplateStore& store, std::unique_ptr<VmFactory> next,
                         PoolSize size, const std::vector<const RuntimeHandler*>& handlers)
    : parts_(parts), store_(store), next_(std::move(next)), size_(size), workers_(Processors()) {
  std::set<Hypervisor*> drivers;
  for (const RuntimeHandler* handler : handlers) {
    drivers.insert(handler->hypervisor);
    if (handler->factory == FactoryKind::kPool) handlers_.push_back(handler);
  }
  drivers_.assign(drivers.begin(), drivers.end());
}

void PoolFactory::Start(std::vector<PoolRecord> left) {
  for (PoolRecord& record : left) {
    {
      absl::MutexLock lock(&mu_);
      ++working_;
      ++pools_.try_emplace(record.template_key(), size_).first->second.filling;  // so that no other takes its place
    }
    parts_.tasks.Run([this, record = std::move(record)] { Adopt(record); });
  }
  keeper_ = std::thread([this] { Keep(); });
}

void PoolFactory::Close(Waiting waiting) {
  std::vector<std::shared_ptr<PoolVm>> left;
  {
    absl::MutexLock lock(&mu_);
    closed_ = true;
    for (auto& [key, pool] : pools_) {
      left.insert(left.end(), pool.waiting.begin(), pool.waiting.end());
      pool.waiting.clear();
    }
  }
  if (keeper_.joinable()) keeper_.join();
  for (const std::shared_ptr<PoolVm>& vm : left) {
    vm->vm->WatchExit(nullptr);
    vm->agent->Close();
    if (waiting == Waiting::kEnd) parts_.tasks.Run([this, vm] { EndPoolVm(parts_, *vm); });
  }
}

void PoolFactory::Wake() {
  absl::MutexLock lock(&mu_);
  woken_ = true;
}

// --- deciding ---

void PoolFactory::Keep() {
  absl::Time next = absl::InfinitePast();
  while (true) {
    {
      const auto due = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return woken_ || closed_; };
      absl::MutexLock lock(&mu_);
      mu_.AwaitWithDeadline(absl::Condition(&due), next);
      woken_ = false;
      if (closed_) return;
    }
    next = Decide();
  }
}

absl::Time PoolFactory::Decide() {
  if (!parts_.requests.AwaitLull(absl::Now())) return absl::Now() + kRequestsUnderWay;
  Wanted wanted;
  std::set<std::string> not_yet;
  absl::Time next = absl::InfiniteFuture();
  for (const RuntimeHandler* handler : handlers_) {
    absl::StatusOr<std::string> key = PoolKey(*handler);
    if (!key.ok()) continue;  // its pods say why
    absl::Status templated = store_.Find(*handler).status();
    // While the template is being made, a VM made without it would only be in its way.
    if (absl::IsUnavailable(templated)) not_yet.insert(*key);
    if (!templated.ok()) next = absl::Now() + kTemplateRetry;
    wanted.try_emplace(*key, handler);
  }
  Decision decision;
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [key, handler] : wanted) {
      Pool& pool = pools_.try_emplace(key, size_).first->second;
      pool.handler = handler;
      if (not_yet.count(key) > 0) {
        pool.retry_at = absl::InfiniteFuture();  // until Wake()
      } else if (pool.retry_at == absl::InfiniteFuture()) {
        pool.retry_at = absl::InfinitePast();
      }
    }
    decision = DecideLocked(wanted);
  }
  for (const std::shared_ptr<PoolVm>& vm : decision.end) {
    vm->vm->WatchExit(nullptr);
    parts_.tasks.Run([this, vm] { EndPoolVm(parts_, *vm); });
  }
  for (const auto& [key, handler] : decision.fill) {
    parts_.tasks.Run([this, key = key, handler = handler] { Filled(key, MakePoolVm(parts_, *next_, *handler, key)); });
  }
  return std::min(next, decision.next);
}

PoolFactory::Decision PoolFactory::DecideLocked(const Wanted& wanted) {
  Decision decision;
  if (closed_) return decision;
  for (auto it = pools_.begin(); it != pools_.end();) {
    Pool& pool = it->second;
    const bool is_wanted = wanted.count(it->first) > 0;
    DecideOneLocked(it->first, pool, is_wanted ? pool.demand.Wanted(absl::Now()) : 0, &decision);
    it = !is_wanted && pool.filling == 0 ? pools_.erase(it) : std::next(it);
  }
  return decision;
}

void PoolFactory::DecideOneLocked(const std::string& key, Pool& pool, int target, Decision* decision) {
  const auto waiting = [&pool] { return static_cast<int>(pool.waiting.size()); };
  while (waiting() > target) {
    decision->end.push_back(std::move(pool.waiting.front()));
    pool.waiting.pop_front();
  }
  decision->next = std::min(decision->next, pool.demand.NextChange());
  if (waiting() + pool.filling >= target) return;
  if (pool.retry_at > absl::Now()) {
    decision->next = std::min(decision->next, pool.retry_at);
    return;
  }
  while (waiting() + pool.filling < target && working_ < workers_) {
    if (size_.memory_bytes != 0 && MemoryLocked() >= size_.memory_bytes) return;
    ++pool.filling;
    ++working_;
    decision->fill.emplace_back(key, pool.handler);
  }
}

// Those that are being made count as much as the largest that waits.
uint64_t PoolFactory::MemoryLocked() const {
  uint64_t sum = 0, largest = 0;
  for (const auto& [key, pool] : pools_) {
    for (const std::shared_ptr<PoolVm>& vm : pool.waiting) {
      sum += vm->memory_bytes;
      largest = std::max(largest, vm->memory_bytes);
    }
  }
  return sum + static_cast<uint64_t>(working_) * largest;
}

// --- making ---

void PoolFactory::Filled(const std::string& key, absl::StatusOr<std::shared_ptr<PoolVm>> made) {
  std::shared_ptr<PoolVm> too_late;
  if (made.ok()) Watch(*made);  // before anybody can take it, who watches it then
  {
    absl::MutexLock lock(&mu_);
    --working_;
    woken_ = true;
    const auto it = pools_.find(key);
    Pool* pool = it == pools_.end() ? nullptr : &it->second;
    if (pool != nullptr) --pool->filling;
    if (made.ok() && (closed_ || pool == nullptr)) {
      too_late = *made;
    } else if (made.ok()) {
      pool->waiting.push_back(*made);
      pool->failures = 0;
      pool->error.clear();
    } else if (pool != nullptr && !closed_) {
      const absl::Duration pause = kFirstPause * (int64_t{1} << std::min(pool->failures++, 20));
      pool->retry_at = absl::Now() + std::min(pause, kLongestPause);
      pool->error = std::string(made.status().message());
      spdlog::warn("pool of runtime handler \"{}\": a VM was not made; the next try in {}: {}", pool->handler->name,
                   absl::FormatDuration(std::min(pause, kLongestPause)), made.status().ToString());
    }
  }
  if (too_late != nullptr) EndPoolVm(parts_, *too_late);
}

void PoolFactory::Adopt(const PoolRecord& record) {
  absl::StatusOr<std::shared_ptr<PoolVm>> adopted = absl::NotFoundError("its runtime handler has no pool any more");
  for (const RuntimeHandler* handler : handlers_) {
    if (handler->name == record.runtime_handler()) adopted = AdoptPoolVm(parts_, *handler, record);
  }
  if (parts_.stopping) return;  // the next daemon's
  if (adopted.ok()) {
    spdlog::info("pool VM {}: taken over", record.id());
    return Filled((*adopted)->key, adopted);
  }
  spdlog::info("pool VM {}: of an earlier podvisord, ended: {}", record.id(), adopted.status().ToString());
  EndLostPoolVm(parts_, drivers_, record);
  absl::MutexLock lock(&mu_);
  if (const auto it = pools_.find(record.template_key()); it != pools_.end()) --it->second.filling;
  --working_;
  woken_ = true;
}

// A VM that ends while it waits. Not to be called with the lock: the callback takes it.
void PoolFactory::Watch(const std::shared_ptr<PoolVm>& vm) {
  vm->vm->WatchExit([this, id = vm->site.id](const std::string& reason) {
    if (!parts_.stopping) parts_.tasks.Run([this, id, reason] { Lost(id, reason); });
  });
}

void PoolFactory::Lost(const std::string& id, const std::string& reason) {
  std::shared_ptr<PoolVm> lost;
  {
    absl::MutexLock lock(&mu_);
    for (auto& [key, pool] : pools_) {
      auto it = std::find_if(pool.waiting.begin(), pool.waiting.end(),
                             [&id](const std::shared_ptr<PoolVm>& vm) { return vm->site.id == id; });
      if (it == pool.waiting.end()) continue;
      lost = *it;
      pool.waiting.erase(it);
      woken_ = true;
      break;
    }
  }
  if (lost == nullptr) return;  // a pod has taken it: it will find out
  spdlog::warn("pool VM {}: ended while it waited: {}", id, reason);
  EndPoolVm(parts_, *lost);
}

// --- giving ---

std::shared_ptr<ReservedVm> PoolFactory::Reserve(const VmOrder& order) {
  if (order.handler->factory != FactoryKind::kPool || !WhyNotGrown(order).empty()) return nullptr;
  const absl::StatusOr<std::string> key = PoolKey(*order.handler);
  if (!key.ok()) return nullptr;
  absl::MutexLock lock(&mu_);
  woken_ = true;
  const auto it = pools_.find(*key);
  if (it == pools_.end()) return nullptr;
  Pool& pool = it->second;
  pool.demand.Asked(absl::Now());
  if (pool.waiting.empty() || closed_) return nullptr;
  std::shared_ptr<PoolVm> newest = std::move(pool.waiting.back());  // what it has touched is still in caches
  pool.waiting.pop_back();
  return newest;
}

void PoolFactory::GiveBack(std::shared_ptr<ReservedVm> reserved) {
  auto vm = std::static_pointer_cast<PoolVm>(std::move(reserved));
  {
    absl::MutexLock lock(&mu_);
    woken_ = true;
    const auto it = pools_.find(vm->key);
    if (!closed_ && it != pools_.end()) {
      it->second.waiting.push_back(std::move(vm));
      return;
    }
  }
  vm->vm->WatchExit(nullptr);
  if (!parts_.stopping) parts_.tasks.Run([this, vm] { EndPoolVm(parts_, *vm); });
}

absl::StatusOr<FactoryVm> PoolFactory::Make(const VmOrder& order) {
  if (order.handler->factory != FactoryKind::kPool) return next_->Make(order);
  std::string why = "the pool is empty";
  if (order.reserved != nullptr) {
    absl::StatusOr<FactoryVm> given = Give(order);
    if (given.ok() || order.cancelled()) return given;
    spdlog::error("sandbox {}: its VM of the pool failed, it gets another: {}", order.site.id,
                  given.status().ToString());
    why = absl::StrCat("its VM of the pool failed: ", given.status().message());
  }
  ASSIGN_OR_RETURN(FactoryVm made, next_->Make(order));
  return AnotherWay(std::move(made), why);
}

absl::StatusOr<FactoryVm> PoolFactory::Give(const VmOrder& order) {
  ReservedVm& reserved = *order.reserved;
  if (order.on_vm) order.on_vm(reserved.vm, reserved.agent);
  absl::Status status = Timed(order, "resume", [&] { return reserved.vm->Resume(); });
  if (status.ok()) status = GrowVm(order, *reserved.vm, *reserved.agent);
  if (status.ok()) return FactoryVm{.vm = reserved.vm, .agent = reserved.agent, .origin = VmOrigin::kPool};
  DiscardVm(*reserved.vm, *reserved.agent).IgnoreError();  // the caller has it, and tries again
  return status;
}

std::vector<PoolView> PoolFactory::View() {
  absl::MutexLock lock(&mu_);
  std::vector<PoolView> views;
  for (auto& [key, pool] : pools_) {
    views.push_back({.runtime_handler = pool.handler == nullptr ? "" : pool.handler->name,
                     .waiting = static_cast<int>(pool.waiting.size()),
                     .filling = pool.filling,
                     .wanted = pool.demand.Wanted(absl::Now()),
                     .error = pool.error});
  }
  return views;
}

}  // namespace podvisor
