/* Decides whether the user at the other end of a local connection may use it. */
#include "client/peer.h"

#include <unistd.h>

#include "base/view.h"

cpn_rc
cpn_peer_may(int fd, const cpn_peer_rule *rule, cpn_err *err)
{
    uid_t uid = 0;
    cpn_rc rc;

    if (rule->everybody)
        return CPN_OK;
    rc = cpn_peer_uid(fd, &uid, err);
    if (rc != CPN_OK || uid == geteuid() || uid == 0)
        return rc;
    for (unsigned i = 0; i < rule->also_n; i++)
        if (rule->also[i] == uid)
            return CPN_OK;
    return cpn_fail(err, CPN_DENIED,
                    "a program of another user (uid %u) was refused; --allow-uid lets it in",
                    (unsigned)uid);
}

cpn_rc
cpn_peer_rule_add(cpn_peer_rule *rule, const char *uids, cpn_err *err)
{
    cpn_view rest = cpn_view_str(uids);
    cpn_view one;
    uint64_t uid;
    bool more = true;

    while (more) {
        more = cpn_view_cut(rest, ',', &one, &rest);
        if (!cpn_view_u64(one, UINT32_MAX - 1, &uid))
            return cpn_fail(err, CPN_INVALID, "--allow-uid: '%.*s' is not a user's number",
                            CPN_VIEW_ARG(one));
        if (rule->also_n == CPN_PEER_UIDS_MAX)
            return cpn_fail(err, CPN_LIMIT, "--allow-uid: more than %d", CPN_PEER_UIDS_MAX);
        rule->also[rule->also_n++] = (uid_t)uid;
    }
    return CPN_OK;
}
