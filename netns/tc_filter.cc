#include "netns/tc_filter.h"

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <netlink/netlink.h>
#include <netlink/route/act/mirred.h>
#include <netlink/route/action.h>
#include <netlink/route/classifier.h>
#include <netlink/route/cls/matchall.h>
#include <netlink/route/cls/u32.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/tc.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace podvisor {
namespace {

using QdiscPtr = std::unique_ptr<rtnl_qdisc, void (*)(rtnl_qdisc*)>;
using FilterPtr = std::unique_ptr<rtnl_cls, void (*)(rtnl_cls*)>;
using ActionPtr = std::unique_ptr<rtnl_act, void (*)(rtnl_act*)>;

constexpr uint32_t kIngressHandle = TC_HANDLE(0xffff, 0);

enum class Classifier { kMatchall, kU32 };

QdiscPtr IngressQdisc(int link_index) {
  QdiscPtr qdisc(rtnl_qdisc_alloc(), rtnl_qdisc_put);
  rtnl_tc* tc = TC_CAST(qdisc.get());
  rtnl_tc_set_ifindex(tc, link_index);
  rtnl_tc_set_parent(tc, TC_H_INGRESS);
  rtnl_tc_set_handle(tc, kIngressHandle);
  rtnl_tc_set_kind(tc, "ingress");
  return qdisc;
}

int AddRedirect(Netlink& netlink, int from, int to, Classifier classifier) {
  const FilterPtr filter(rtnl_cls_alloc(), rtnl_cls_put);
  rtnl_tc_set_ifindex(TC_CAST(filter.get()), from);
  rtnl_tc_set_parent(TC_CAST(filter.get()), kIngressHandle);
  rtnl_tc_set_kind(TC_CAST(filter.get()), classifier == Classifier::kMatchall ? "matchall" : "u32");
  rtnl_cls_set_prio(filter.get(), 1);
  rtnl_cls_set_protocol(filter.get(), ETH_P_ALL);

  const ActionPtr action(rtnl_act_alloc(), rtnl_act_put);
  rtnl_tc_set_kind(TC_CAST(action.get()), "mirred");
  rtnl_mirred_set_action(action.get(), TCA_EGRESS_REDIR);
  rtnl_mirred_set_policy(action.get(), TC_ACT_STOLEN);
  rtnl_mirred_set_ifindex(action.get(), static_cast<uint32_t>(to));

  int result = 0;
  if (classifier == Classifier::kMatchall) {
    result = rtnl_mall_append_action(filter.get(), action.get());
  } else {
    // One key that compares no bit matches every frame.
    rtnl_u32_set_handle(filter.get(), 0, 0, 0);
    result = rtnl_u32_add_key_uint32(filter.get(), 0, 0, 0, 0);
    if (result == 0) result = rtnl_u32_set_cls_terminal(filter.get());
    if (result == 0) result = rtnl_u32_add_action(filter.get(), action.get());
  }
  if (result < 0) return result;
  return rtnl_cls_add(netlink.get(), filter.get(), NLM_F_CREATE | NLM_F_EXCL);
}

absl::Status Redirect(Netlink& netlink, const LinkInfo& from, const LinkInfo& to) {
  RETURN_IF_ERROR(RemoveIngress(netlink, from));
  const QdiscPtr qdisc = IngressQdisc(from.index);
  int result = rtnl_qdisc_add(netlink.get(), qdisc.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (result < 0) return NetlinkStatus(result, absl::StrCat("add ingress qdisc to ", from.name));
  // The kernel answers ENOENT to a classifier it does not have.
  result = AddRedirect(netlink, from.index, to.index, Classifier::kMatchall);
  if (result == -NLE_OBJ_NOTFOUND || result == -NLE_OPNOTSUPP)
    result = AddRedirect(netlink, from.index, to.index, Classifier::kU32);
  if (result < 0)
    return NetlinkStatus(result, absl::StrCat("redirect ", from.name, " to ", to.name,
                                              " (the kernel needs cls_matchall or cls_u32, and act_mirred)"));
  return absl::OkStatus();
}

}  // namespace

absl::Status JoinLinks(Netlink& netlink, const LinkInfo& a, const LinkInfo& b) {
  RETURN_IF_ERROR(Redirect(netlink, a, b));
  return Redirect(netlink, b, a);
}

absl::Status RemoveIngress(Netlink& netlink, const LinkInfo& link) {
  const QdiscPtr qdisc = IngressQdisc(link.index);
  const int result = rtnl_qdisc_delete(netlink.get(), qdisc.get());
  // ENOENT or EINVAL: there is none.
  if (result == 0 || result == -NLE_OBJ_NOTFOUND || result == -NLE_INVAL || result == -NLE_NODEV)
    return absl::OkStatus();
  return NetlinkStatus(result, absl::StrCat("remove ingress qdisc from ", link.name));
}

}  // namespace podvisor
