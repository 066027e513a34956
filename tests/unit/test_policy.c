/* policy: one table of connect requests, refusals first. A row: rights, request, failing lines. */
#include "policy_fixture.h"

/* 2026-11-23 is a Monday. */
#define MONDAY 1795392000ll
#define AT(day, h, m) (MONDAY + (day)*86400ll + (h)*3600ll + (m)*60ll)

/* What a plain connect to web1 and to app1 needs. */
#define WEB "Reader@$front Reader@$web1 Reader@$web1-nic"
#define APP "Reader@$front Reader@$app1 Reader@$app1-nic Reader@$spoke"

/* grants: words "[WHO:][!]ROLE@SCOPE[~DAYS~FROM~TO][#UP/DOWN]" (bytes a session, 0 for no limit),
 * by default for $ada; '_' in ROLE is a space,
 * '!' a deny. bastion: keys that replace those of $front. Left out: $ada, $front, port 22.
 * fails: every failing line in order, "REASON[ ROLE[ SCOPE]]" joined by "; "; "" is allowed. */
typedef struct cpn_row {
    const char *name;
    const char *grants;
    const char *fails;
    const char *target;
    const char *ip;
    const char *bastion_keys;
    const char *who;
    const char *bastion;
    unsigned port;
    unsigned ssh, rdp, mine, mine_max;
    int64_t now_s;
    bool tell_all;
    bool azure, certificate;
    uint64_t up, down; /* of limit_rows: what the session may move; 0: any number */
} cpn_row;

#define NO_PORT 100000u

static const cpn_row rows[] = {
    /* nobody, or somebody who may not act */
    { "nobody", WEB, "token_invalid", .target = "$web1", .who = "" },
    { "a principal that is gone", WEB, "token_invalid", .target = "$web1", .who = "$nobody" },
    { "a group is no caller", "$ops:Owner@/", "token_invalid", .target = "$web1", .who = "$ops" },
    { "a disabled user", "$off:Owner@/", "principal_disabled", .target = "$web1", .who = "$off" },
    { "no policy, nobody connects", "", "role_missing Reader $front; role_missing Reader $web1",
      .target = "$web1" },
    { "neither machine nor address", WEB, "bad_request", .target = NULL },
    { "both machine and address", WEB, "bad_request", .target = "$web1", .ip = "10.0.1.4" },

    /* each role alone */
    { "no Reader on the bastion", "Reader@$web1 Reader@$web1-nic", "role_missing Reader $front",
      .target = "$web1" },
    { "no Reader on the machine", "Reader@$front Reader@$web1-nic", "role_missing Reader $web1",
      .target = "$web1" },
    { "no Reader on the interface", "Reader@$front Reader@$web1", "role_missing Reader $web1-nic",
      .target = "$web1" },
    { "no Reader on the peered network", "Reader@$front Reader@$app1 Reader@$app1-nic",
      "role_missing Reader $spoke", .target = "$app1" },
    { "interface and network at once", "Reader@$front Reader@$app1",
      "role_missing Reader $app1-nic; role_missing Reader $spoke", .target = "$app1" },
    { "all four, told to an administrator", "",
      "role_missing Reader $front; role_missing Reader $app1; role_missing Reader $app1-nic; "
      "role_missing Reader $spoke",
      .target = "$app1", .tell_all = true },
    { "all four, told to the caller", "", "role_missing Reader $front; role_missing Reader $app1",
      .target = "$app1" },
    { "the other interface's Reader is not this one's",
      "Reader@$front Reader@$web1 Reader@$web1-nic2", "role_missing Reader $web1-nic",
      .target = "$web1" },
    { "a login role is not Reader on the machine", "Reader@$front Virtual_Machine_User_Login@$lab",
      "role_missing Reader $web1", .target = "$web1" },
    { "a custom role without bastions", "Machine_Seer@$lab", "role_missing Reader $front",
      .target = "$web1" },

    /* the bastion */
    { "Basic", WEB, "bastion_sku", .target = "$web1", .bastion_keys = "{'sku':'Basic'}" },
    { "Developer", WEB, "bastion_sku", .target = "$web1", .bastion_keys = "{'sku':'Developer'}" },
    { "Developer by the Azure door", WEB, "", .target = "$web1", .azure = true,
      .bastion_keys = "{'sku':'Developer','enableTunneling':false}" },
    { "QuickConnect by the Azure door", WEB, "", .target = "$web1", .azure = true,
      .bastion_keys = "{'sku':'QuickConnect','enableTunneling':false}" },
    { "QuickConnect by our own", WEB, "bastion_sku; native_client_off", .target = "$web1",
      .bastion_keys = "{'sku':'QuickConnect','enableTunneling':false}" },
    { "Basic by the Azure door", WEB, "bastion_sku", .target = "$web1", .azure = true,
      .bastion_keys = "{'sku':'Basic'}" },
    { "Developer: a second session", WEB, "limit_bastion", .target = "$web1", .azure = true,
      .rdp = 1, .bastion_keys = "{'sku':'Developer'}" },
    { "Developer: another port", WEB, "port_not_allowed", .target = "$web1", .azure = true,
      .port = 2222, .bastion_keys = "{'sku':'Developer'}" },
    { "Developer: a peered network", "Reader@$lab", "not_peered", .target = "$app1", .azure = true,
      .bastion_keys = "{'sku':'Developer'}" },
    { "Developer: by address", "Reader@$lab", "ip_connect_off", .ip = "10.0.1.4", .azure = true,
      .bastion_keys = "{'sku':'Developer'}" },

    /* certificates */
    { "a certificate without a login role", WEB, "role_missing Virtual Machine User Login $web1",
      .target = "$web1", .certificate = true },
    { "a certificate without anything", "",
      "role_missing Reader $front; role_missing Reader $web1; "
      "role_missing Virtual Machine User Login $web1",
      .target = "$web1", .certificate = true },
    { "a certificate with it", WEB " Virtual_Machine_User_Login@$web1", "", .target = "$web1",
      .certificate = true },
    { "an administrator's certificate", WEB " Virtual_Machine_Administrator_Login@$lab", "",
      .target = "$web1", .certificate = true },

    { "native clients off", WEB, "native_client_off", .target = "$web1",
      .bastion_keys = "{'enableTunneling':false}" },
    { "Basic, off and a wrong port", WEB, "bastion_sku; native_client_off; port_not_allowed",
      .target = "$web1", .bastion_keys = "{'sku':'Basic','enableTunneling':false,'ports':[2222]}" },
    { "by address with IP connect off", WEB, "ip_connect_off", .ip = "10.0.1.4",
      .bastion_keys = "{'enableIpConnect':false}" },
    { "off, told nothing without Reader", "Reader@$web1 Reader@$web1-nic",
      "role_missing Reader $front", .target = "$web1",
      .bastion_keys = "{'enableTunneling':false}" },
    { "off, told to an administrator", "Reader@$web1 Reader@$web1-nic",
      "role_missing Reader $front; native_client_off", .target = "$web1",
      .bastion_keys = "{'enableTunneling':false}", .tell_all = true },

    /* unknown ids answer as unreadable ones */
    { "unknown bastion", "Reader@$web1 Reader@$web1-nic", "role_missing Reader $ghost-bastion",
      .target = "$web1", .bastion = "$ghost-bastion" },
    { "unknown machine", "Reader@$front", "role_missing Reader $ghost", .target = "$ghost" },
    { "unknown bastion where one would see it", "Reader@$lab", "bastion_not_found",
      .target = "$web1", .bastion = "$ghost-bastion" },
    { "unknown machine where one would see it", "Reader@$lab", "target_not_found",
      .target = "$ghost" },
    { "unknown both, told to an administrator", "", "bastion_not_found; target_not_found",
      .target = "$ghost", .bastion = "$ghost-bastion", .tell_all = true },
    { "not an id", "Owner@/", "bastion_not_found; target_not_found", .target = "web1",
      .bastion = "front" },
    { "a network as the target", "Owner@/", "target_not_found", .target = "$hub" },
    { "a scale set as the target", "Owner@/", "target_not_found", .target = "$pool" },
    { "a machine as the bastion", "Owner@/", "bastion_not_found", .target = "$web1",
      .bastion = "$web1" },
    { "an id with a slash behind", "Owner@/", "target_not_found", .target = "$web1/" },

    /* networks */
    { "not peered", "Reader@$front Reader@$isl1 Reader@$isl1-nic", "not_peered",
      .target = "$isl1" },
    { "not peered, whatever the role", "Owner@/", "not_peered", .target = "$isl1" },

    /* addresses: spelling, then prefix edges (hub 10.0.0.0/16, spoke 10.1.0.0/24 and a /64) */
    { "a name", "Owner@/", "target_address", .ip = "web1" },
    { "leading zeros", "Owner@/", "target_address", .ip = "10.0.01.4" },
    { "hexadecimal", "Owner@/", "target_address", .ip = "0xa000104" },
    { "one number", "Owner@/", "target_address", .ip = "167772420" },
    { "with a port", "Owner@/", "target_address", .ip = "10.0.1.4:22" },
    { "with a zone", "Owner@/", "target_address", .ip = "fe80::1%eth0" },
    { "loopback", "Owner@/", "target_address", .ip = "127.0.0.1" },
    { "loopback, mapped", "Owner@/", "target_address", .ip = "::ffff:127.0.0.1" },
    { "metadata", "Owner@/", "target_address", .ip = "169.254.169.254" },
    { "platform metadata", "Owner@/", "target_address", .ip = "168.63.129.16" },
    { "first - 1", "Owner@/", "outside_prefixes", .ip = "9.255.255.255" },
    { "last + 1 of the spoke", "Owner@/", "outside_prefixes", .ip = "10.1.1.0" },
    { "last + 1 of the IPv6 prefix", "Owner@/", "outside_prefixes", .ip = "fd12:3456:0:1::" },
    { "first - 1 of the IPv6 prefix", "Owner@/", "outside_prefixes",
      .ip = "fd12:3455:ffff:ffff:ffff:ffff:ffff:ffff" },
    { "an address of a network that is not peered", "Owner@/", "outside_prefixes",
      .ip = "10.2.0.4" },
    { "a free address without Reader on its network", "Reader@$front", "role_missing Reader $spoke",
      .ip = "10.1.0.77" },
    { "the bastion's own network needs Reader too", "Reader@$front Reader@$spoke",
      "role_missing Reader $hub", .ip = "10.0.9.9" },
    { "an address without the bastion", "Reader@$hub", "role_missing Reader $front",
      .ip = "10.0.9.9" },

    /* a registered address is its machine */
    { "a machine's address, as a free one", "Reader@$front", "role_missing Reader $hub",
      .ip = "10.0.1.4" },
    { "a machine's address, network readable", "Reader@$front Reader@$hub",
      "role_missing Reader 10.0.1.4", .ip = "10.0.1.4" },
    { "a machine's address, told to an administrator", "Reader@$front",
      "role_missing Reader $web1; role_missing Reader $web1-nic", .ip = "10.0.1.4",
      .tell_all = true },
    { "a machine's address needs its interface", "Reader@$front Reader@$hub Reader@$web1",
      "role_missing Reader $web1-nic", .ip = "10.0.1.4" },
    { "a machine's second address needs that interface", WEB, "role_missing Reader $web1-nic2",
      .ip = "10.0.1.9" },
    { "a peered machine's address needs its network", "Reader@$front Reader@$app1 Reader@$app1-nic",
      "role_missing Reader $spoke", .ip = "10.1.0.5" },
    { "a machine's address, denied", "Reader@$lab !Reader@$web1", "role_denied  10.0.1.4",
      .ip = "10.0.1.4" },
    { "a free interface's address", "Reader@$front Reader@$hub", "role_missing Reader 10.0.1.10",
      .ip = "10.0.1.10" },
    { "a free interface's address, told", "Reader@$front",
      "role_missing Reader $free-nic; role_missing Reader $hub", .ip = "10.0.1.10",
      .tell_all = true },

    /* ports */
    { "port 0", WEB, "port_not_allowed", .target = "$web1", .port = NO_PORT },
    { "another port by address", "Owner@/", "port_not_allowed", .ip = "10.0.1.4", .port = 23 },
    { "3388 by address", "Owner@/", "port_not_allowed", .ip = "10.0.1.4", .port = 3388 },
    { "22 when the bastion lists others", WEB, "port_not_allowed", .target = "$web1",
      .bastion_keys = "{'ports':[2222,3389]}" },
    { "22 by address when the bastion lists others", "Owner@/", "port_not_allowed",
      .ip = "10.0.1.4", .bastion_keys = "{'ports':[2222]}" },

    /* deny beats allow */
    { "denied on the machine", "Owner@/ !Reader@$web1", "role_denied  $web1", .target = "$web1" },
    { "denied above", WEB " !Owner@$sub", "role_denied  $front; role_denied  $web1",
      .target = "$web1" },
    { "denied on the interface", "Owner@/ !Reader@$web1-nic", "role_denied  $web1-nic",
      .target = "$web1" },
    { "denied everywhere", WEB " !Reader@/", "role_denied  $front; role_denied  $web1",
      .target = "$web1" },
    { "denied through a group", "$bob:Owner@/ $ops:!Reader@$web1", "role_denied  $web1",
      .target = "$web1", .who = "$bob" },
    { "a deny of a custom role", "Owner@/ !Machine_Seer@$lab", "role_denied  $web1",
      .target = "$web1" },

    /* where rights reach */
    { "/groups/lab is not /groups/lab2", "Reader@$lab2",
      "role_missing Reader $front; role_missing Reader $web1", .target = "$web1" },
    { "web1 is not web10", "Reader@$front Reader@$web1", "role_missing Reader $web10",
      .target = "$web10" },
    { "a machine's Reader is not its group's", "Reader@$web1 Reader@$web1-nic",
      "role_missing Reader $front", .target = "$web1" },
    { "a group's rights are its members' only", "$ops:Reader@$lab",
      "role_missing Reader $front; role_missing Reader $web1", .target = "$web1" },
    { "another's rights", "$bob:Owner@/", "role_missing Reader $front; role_missing Reader $web1",
      .target = "$web1" },

    /* windows: Monday 08:00 to 18:00, and Friday night */
    { "a minute before", "Reader@$lab~mon~08:00~18:00",
      "time_window Reader $front; time_window Reader $web1", .target = "$web1",
      .now_s = AT(0, 8, 0) - 1 },
    { "the end", "Reader@$lab~mon~08:00~18:00",
      "time_window Reader $front; time_window Reader $web1", .target = "$web1",
      .now_s = AT(0, 18, 0) },
    { "another day", "Reader@$lab~mon~08:00~18:00",
      "time_window Reader $front; time_window Reader $web1", .target = "$web1",
      .now_s = AT(1, 12, 0) },
    { "one line closed", "Reader@$front Reader@$web1-nic Reader@$web1~mon~08:00~18:00",
      "time_window Reader $web1", .target = "$web1", .now_s = AT(2, 12, 0) },
    { "before the night", "Reader@$lab~fri~22:00~06:00",
      "time_window Reader $front; time_window Reader $web1", .target = "$web1",
      .now_s = AT(4, 21, 59) },
    { "after the night", "Reader@$lab~fri~22:00~06:00",
      "time_window Reader $front; time_window Reader $web1", .target = "$web1",
      .now_s = AT(5, 6, 0) },
    { "the night before is not in it", "Reader@$lab~fri~22:00~06:00",
      "time_window Reader $front; time_window Reader $web1", .target = "$web1",
      .now_s = AT(4, 3, 0) },
    { "a deny inside its window", "Owner@/ !Reader@$web1~mon~08:00~18:00", "role_denied  $web1",
      .target = "$web1", .now_s = AT(0, 9, 0) },

    /* limits: two units are 40 RDP and 80 SSH */
    { "81st SSH session", WEB, "limit_bastion", .target = "$web1", .ssh = 80 },
    { "41st RDP session", WEB, "limit_bastion", .target = "$web1", .port = 3389, .rdp = 40 },
    { "another port counts as SSH", WEB, "limit_bastion", .target = "$web1", .port = 2222,
      .ssh = 80 },
    { "2,001st with 50 units", WEB, "limit_bastion", .target = "$web1", .ssh = 2000,
      .bastion_keys = "{'scaleUnits':50}" },
    { "the user's 21st", WEB, "limit_user", .target = "$web1", .mine = 20, .mine_max = 20 },
    { "the principal's own limit goes first", "$bob:Owner@/", "limit_user", .target = "$web1",
      .who = "$bob", .mine = 3, .mine_max = 20 },
    { "both limits", WEB, "limit_bastion; limit_user", .target = "$web1", .ssh = 80, .mine = 20,
      .mine_max = 20 },
    { "no load is told without Reader", "Reader@$web1 Reader@$web1-nic",
      "role_missing Reader $front", .target = "$web1", .ssh = 80 },

    /* allowed */
    { "Reader on all three", WEB, "", .target = "$web1" },
    { "Reader on all four, peered", APP, "", .target = "$app1" },
    { "ids without case", WEB, "", .target = LAB CPU "VIRTUALMACHINES/Web1",
      .bastion = "/SUBSCRIPTIONS/11111111-2222-3333-4444-555555555555/resourcegroups/LAB"
                 "/PROVIDERS/microsoft.network/BASTIONHOSTS/FRONT" },
    { "Premium", WEB, "", .target = "$web1", .bastion_keys = "{'sku':'Premium'}" },
    { "any port of a machine", WEB, "", .target = "$web1", .port = 65535 },
    { "a listed port by address", "Owner@/", "", .ip = "10.0.1.4", .port = 2222,
      .bastion_keys = "{'ports':[2222]}" },
    { "3389 by address", WEB, "", .ip = "10.0.1.4", .port = 3389 },
    { "IP connect off matters to addresses only", WEB, "", .target = "$web1",
      .bastion_keys = "{'enableIpConnect':false}" },
    { "a machine by its address", WEB, "", .ip = "10.0.1.4" },
    { "the mapped spelling is the same address", WEB, "", .ip = "::ffff:10.0.1.4" },
    { "a machine's second address", WEB " Reader@$web1-nic2", "", .ip = "10.0.1.9" },
    { "the first address of a prefix", "Reader@$front Reader@$hub", "", .ip = "10.0.0.0" },
    { "the last address of a prefix", "Reader@$front Reader@$hub", "", .ip = "10.0.255.255" },
    { "the first of the spoke", "Reader@$front Reader@$spoke", "", .ip = "10.1.0.0" },
    { "the last of the spoke", "Reader@$front Reader@$spoke", "", .ip = "10.1.0.255" },
    { "the first of the IPv6 prefix", "Reader@$front Reader@$spoke", "", .ip = "fd12:3456::" },
    { "the last of the IPv6 prefix", "Reader@$front Reader@$spoke", "",
      .ip = "fd12:3456::ffff:ffff:ffff:ffff" },
    { "a free interface's address, all readable", "Reader@$front Reader@$hub Reader@$free-nic", "",
      .ip = "10.0.1.10" },
    { "a scale-set instance", "Reader@$front Reader@$pool Reader@$pool0-nic", "",
      .target = "$pool0" },
    { "inherited from the group", "Reader@$lab", "", .target = "$app1" },
    { "inherited from the subscription", "Reader@$sub", "", .target = "$app1" },
    { "inherited from everything", "Reader@/", "", .target = "$app1" },
    { "Contributor is better", "Contributor@$lab", "", .target = "$app1" },
    { "Owner by its GUID", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635@$lab", "", .target = "$app1" },
    { "a custom role", "Machine_Seer@$lab Reader@$front", "", .target = "$app1" },
    { "through a group", "$ops:Reader@$lab", "", .target = "$web1", .who = "$bob" },
    { "a service principal through a group", "$ops:Reader@$lab", "", .target = "$web1",
      .who = "$ci" },
    { "inside the window, first second", "Reader@$lab~mon~08:00~18:00", "", .target = "$web1",
      .now_s = AT(0, 8, 0) },
    { "inside the window, last second", "Reader@$lab~mon~08:00~18:00", "", .target = "$web1",
      .now_s = AT(0, 18, 0) - 1 },
    { "Friday's night on Saturday", "Reader@$lab~fri~22:00~06:00", "", .target = "$web1",
      .now_s = AT(5, 6, 0) - 1 },
    { "Sunday's night on Monday", "Reader@$lab~sun~22:00~06:00", "", .target = "$web1",
      .now_s = AT(7, 1, 0) },
    { "until midnight", "Reader@$lab~mon~08:00~24:00", "", .target = "$web1",
      .now_s = AT(1, 0, 0) - 1 },
    { "a deny outside its window", "Owner@/ !Reader@$web1~mon~08:00~18:00", "", .target = "$web1",
      .now_s = AT(0, 7, 59) },
    { "an open assignment beside a closed one", "Reader@$lab~mon~08:00~18:00 Reader@$sub", "",
      .target = "$web1", .now_s = AT(3, 1, 0) },
    { "80th SSH session", WEB, "", .target = "$web1", .ssh = 79, .rdp = 40 },
    { "40th RDP session", WEB, "", .target = "$web1", .port = 3389, .rdp = 39, .ssh = 80 },
    { "the user's 20th", WEB, "", .target = "$web1", .mine = 19, .mine_max = 20 },
    { "no limit for users", WEB, "", .target = "$web1", .mine = 100000 },
};

/* ---- from a row to a snapshot and facts ---- */

static void
put_grant(cpn_snapshot_edit *e, char *word, unsigned number)
{
    char body[1024], id[2048], days[64] = "", window[256] = "", limits[128] = "";
    char *role = word, *scope = strchr(word, '@'), *times, *bytes;
    const char *who = "$ada", *effect = "Allow";

    assert_non_null(scope);
    *scope++ = '\0';
    if (*role == '$') {
        who = role;
        role = strchr(role, ':');
        assert_non_null(role);
        *role++ = '\0';
    }
    if (*role == '!') {
        effect = "Deny";
        role++;
    }
    for (char *p = role; *p; p++)
        if (*p == '_')
            *p = ' ';
    if ((bytes = strchr(scope, '#'))) {
        unsigned up = 0, down = 0;
        int at = 0;

        *bytes++ = '\0';
        assert_int_equal(sscanf(bytes, "%u/%u", &up, &down), 2);
        if (up)
            at = snprintf(limits, sizeof(limits), ",'maxUploadBytes':%u", up);
        if (down)
            snprintf(limits + at, sizeof(limits) - (size_t)at, ",'maxDownloadBytes':%u", down);
    }
    if ((times = strchr(scope, '~'))) {
        *times++ = '\0';
        snprintf(days, sizeof(days), "%.3s", times);
        snprintf(window, sizeof(window), ",'window':{'days':['%s'],'from':'%.5s','to':'%.5s'}",
                 days, times + 4, times + 10);
    }
    snprintf(id, sizeof(id), "%s" ASSIGNMENTS "00000000-0000-4000-8000-0000000000%02u",
             strcmp(scope, "/") ? scope : "", number);
    snprintf(body, sizeof(body), "{'principalId':'%s','role':'%s','effect':'%s'%s%s}", who, role,
             effect, window, limits);
    put_ok(e, "roleAssignment", id, body);
}

static void
patch_bastion(cpn_snapshot_edit *e, const cpn_snapshot *base, const char *keys)
{
    char id[4096], text[4096];
    json_t *body, *patch;
    cpn_err err;

    if (!keys)
        return;
    body = json_deep_copy(
        cpn_snapshot_document(base, CPN_KIND_BASTION, cpn_view_str(spell(id, "$front"))));
    patch = json_loads(spell(text, keys), 0, NULL);
    assert_non_null(patch);
    json_object_update(body, patch);
    assert_int_equal(cpn_snapshot_put(e, CPN_KIND_BASTION, id, body, &err), CPN_OK);
    json_decref(patch);
    json_decref(body);
}

static cpn_snapshot *
snapshot_of(const cpn_snapshot *base, const cpn_row *row)
{
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(base);
    char grants[2048], *rest = grants, *word;
    unsigned number = 10;

    snprintf(grants, sizeof(grants), "%s", row->grants);
    while ((word = strsep(&rest, " ")))
        if (*word)
            put_grant(e, word, number++);
    patch_bastion(e, base, row->bastion_keys);
    return seal_ok(e);
}

static void
describe(const cpn_verdict *v, char *out, size_t size)
{
    size_t at = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < v->missing_n; i++) {
        const cpn_missing *m = &v->missing[i];

        at += (size_t)snprintf(out + at, size - at, "%s%s", i ? "; " : "", cpn_reason_word(m->why));
        if (m->scope[0])
            at += (size_t)snprintf(out + at, size - at, " %s %s", m->role, m->scope);
    }
}

static void
decide_row(const cpn_row *row, const cpn_snapshot *s, cpn_verdict *v)
{
    char who[4096], bastion[4096], target[4096];
    cpn_principal gone = { .kind = CPN_PRINCIPAL_USER,
                           .object_id = GUID_OF("99"),
                           .enabled = true };
    cpn_facts f = { 0 };
    cpn_rc rc;

    f.who = cpn_snapshot_principal(s, cpn_view_str(spell(who, row->who ? row->who : "$ada")));
    if (row->who && strcmp(row->who, "$nobody") == 0)
        f.who = &gone;
    f.bastion_id = cpn_view_str(spell(bastion, row->bastion ? row->bastion : "$front"));
    if (row->target)
        f.target_id = cpn_view_str(spell(target, row->target));
    if (row->ip)
        f.target_ip = cpn_view_str(row->ip);
    f.port = row->port == NO_PORT ? 0 : (uint16_t)(row->port ? row->port : 22);
    f.now_s = row->now_s ? row->now_s : AT(0, 12, 0);
    f.bastion_ssh_sessions = row->ssh;
    f.bastion_rdp_sessions = row->rdp;
    f.user_sessions = row->mine;
    f.user_sessions_max = row->mine_max;
    f.tell_all = row->tell_all;
    f.azure_door = row->azure;
    f.ssh_certificate = row->certificate;
    rc = cpn_decide(s, &f, v);
    assert_int_equal(rc, v->allowed ? CPN_OK : CPN_DENIED);
    assert_int_equal(v->why == CPN_WHY_NONE, v->allowed);
    assert_int_equal(v->missing_n == 0, v->allowed);
    assert_int_equal(v->bastion != NULL, v->allowed);
    if (v->missing_n)
        assert_int_equal(v->why, v->missing[0].why);
}

static void
every_row(void **state)
{
    cpn_snapshot *base = make_world();
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(rows); i++) {
        cpn_snapshot *s = snapshot_of(base, &rows[i]);
        char expected[4096], found[8192];
        cpn_verdict v;

        decide_row(&rows[i], s, &v);
        describe(&v, found, sizeof(found));
        spell(expected, rows[i].fails);
        if (strcmp(expected, found) != 0) {
            print_message("# row \"%s\"\n#   expected: %s\n#   found:    %s\n", rows[i].name,
                          expected, found);
            wrong++;
        }
        cpn_snapshot_unref(s);
    }
    cpn_snapshot_unref(base);
    print_message("# %zu rows\n", CPN_COUNT(rows));
    assert_int_equal(wrong, 0);
}

/* ---- limits ---- */

#define WEB_LINES(a, b, c) "Reader@$front" a " Reader@$web1" b " Reader@$web1-nic" c

static const cpn_row limit_rows[] = {
    { "none", WEB, .target = "$web1" },
    { "one assignment for all", "Reader@$lab#5/7", .target = "$web1", .up = 5, .down = 7 },
    { "one way only", "Reader@$lab#5/0", .target = "$web1", .up = 5 },
    { "the smallest of the lines", WEB_LINES("#9/9", "#5/0", "#7/3"), .target = "$web1", .up = 5,
      .down = 3 },
    { "of the machine alone", WEB_LINES("", "#5/7", ""), .target = "$web1", .up = 5, .down = 7 },
    { "of the bastion alone", WEB_LINES("#5/7", "", ""), .target = "$web1", .up = 5, .down = 7 },
    { "the most generous for a line", "Reader@$lab#5/7 Contributor@$sub#6/2", .target = "$web1",
      .up = 6, .down = 7 },
    { "one without a limit lifts it", "Reader@$lab#5/7 Reader@$sub", .target = "$web1" },
    { "one that gives less lifts nothing", "Reader@$lab#5/7 Reader@$web1", .target = "$web1",
      .up = 5, .down = 7 },
    { "another role that gives no access lifts nothing", "Reader@$lab#5/7 Owner@$lab2",
      .target = "$web1", .up = 5, .down = 7 },
    { "through a group", "$bob:Reader@$lab#5/7 $ops:Reader@$lab#6/6", .target = "$web1",
      .who = "$bob", .up = 6, .down = 7 },
    { "a closed window lifts nothing", "Reader@$lab#5/7 Reader@$lab~mon~08:00~09:00",
      .target = "$web1", .up = 5, .down = 7 },
    { "an open one does", "Reader@$lab#5/7 Reader@$lab~mon~08:00~18:00", .target = "$web1" },
    { "a machine by its address", "Reader@$lab#5/7", .ip = "10.0.1.4", .up = 5, .down = 7 },
    { "a free address has its network's", "Reader@$front Reader@$hub#5/7", .ip = "10.0.1.77",
      .up = 5, .down = 7 },
    { "a peered network counts", "Reader@$front Reader@$app1 Reader@$app1-nic Reader@$spoke#5/7",
      .target = "$app1", .up = 5, .down = 7 },
};

static void
every_limit(void **state)
{
    cpn_snapshot *base = make_world();

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(limit_rows); i++) {
        const cpn_row *row = &limit_rows[i];
        cpn_snapshot *s = snapshot_of(base, row);
        cpn_verdict v;
        json_t *json;

        decide_row(row, s, &v);
        if (!v.allowed || v.limits.up != (row->up ? row->up : CPN_NO_LIMIT) ||
            v.limits.down != (row->down ? row->down : CPN_NO_LIMIT))
            fail_msg("%s: %d %llu %llu", row->name, v.allowed, (unsigned long long)v.limits.up,
                     (unsigned long long)v.limits.down);
        json = cpn_verdict_json(&v);
        assert_int_equal(json_integer_value(json_object_get(json, "maxUploadBytes")), row->up);
        assert_int_equal(json_integer_value(json_object_get(json, "maxDownloadBytes")), row->down);
        json_decref(json);
        cpn_snapshot_unref(s);
    }
    cpn_snapshot_unref(base);
}

/* ---- beyond the table ---- */

/* Unknown and unreadable must not differ in a byte, apart from the id that was typed. */
static void
existence_does_not_leak(void **state)
{
    cpn_snapshot *s = make_world();
    cpn_row hidden = { .grants = "", .target = "$web10", .bastion = "$front" };
    cpn_row absent = { .grants = "", .target = "$ghost", .bastion = "$ghost-bastion" };
    char a[8192], b[8192];
    cpn_verdict va, vb;

    (void)state;
    hidden.target = "$web1";
    decide_row(&hidden, s, &va);
    decide_row(&absent, s, &vb);
    assert_int_equal(va.missing_n, vb.missing_n);
    assert_int_equal(va.why, vb.why);
    assert_memory_equal(&va.addr, &vb.addr, sizeof(va.addr));
    assert_null(va.machine);
    (void)cpn_verdict_sentence(&va, a, sizeof(a));
    (void)cpn_verdict_sentence(&vb, b, sizeof(b));
    assert_string_equal(a, "denied: role_missing: Reader on " LAB NET "bastionHosts/front; "
                           "Reader on " LAB CPU "virtualMachines/web1");
    assert_string_equal(b, "denied: role_missing: Reader on " LAB NET "bastionHosts/ghost; "
                           "Reader on " LAB CPU "virtualMachines/ghost");
    cpn_snapshot_unref(s);
}

static void
verdicts_in_words_and_json(void **state)
{
    cpn_row row = {
        .grants = WEB, .target = "$web1", .port = 3389, .bastion_keys = "{'protocols':['any']}"
    };
    cpn_snapshot *base = make_world(), *s = snapshot_of(base, &row);
    char text[8192], small[16], addr[CPN_ADDR_TEXT];
    cpn_verdict v;
    json_t *json;
    size_t n;

    (void)state;
    decide_row(&row, s, &v);
    assert_true(v.allowed && v.any_protocol);
    assert_int_equal(v.counts_as, CPN_PROTOCOL_RDP);
    assert_int_equal(v.port, 3389);
    assert_string_equal(v.machine->name, "web1");
    assert_string_equal(cpn_addr_text(&v.addr, addr), "10.0.1.4");
    (void)cpn_verdict_sentence(&v, text, sizeof(text));
    assert_string_equal(text, "allowed");
    cpn_snapshot_unref(s);

    row = (cpn_row){ .grants = "Reader@$front Reader@$web1-nic !Reader@$web1",
                     .target = "$web1",
                     .bastion_keys = "{'ports':[2222]}" };
    s = snapshot_of(base, &row);
    decide_row(&row, s, &v);
    n = cpn_verdict_sentence(&v, text, sizeof(text));
    assert_int_equal(n, strlen(text));
    assert_string_equal(text,
                        "denied: role_denied: a deny assignment forbids it (on " LAB CPU
                        "virtualMachines/web1); port_not_allowed: port 22 is not allowed here");
    assert_int_equal(cpn_verdict_sentence(&v, small, sizeof(small)), sizeof(small) - 1);
    assert_string_equal(small, "denied: role_de");
    json = cpn_verdict_json(&v);
    assert_non_null(json);
    assert_true(json_is_false(json_object_get(json, "allowed")));
    assert_string_equal(json_string_value(json_object_get(json, "reason")), "role_denied");
    assert_string_equal(json_string_value(json_object_get(json, "message")), text);
    assert_int_equal(json_array_size(json_object_get(json, "missing")), 2);
    json_decref(json);
    cpn_snapshot_unref(s);
    cpn_snapshot_unref(base);
}

static bool
may(const cpn_snapshot *s, const char *who, const char *action, const char *scope, bool login)
{
    char id[4096], where[4096];
    const cpn_principal *p = cpn_snapshot_principal(s, cpn_view_str(spell(id, who)));
    cpn_view at = cpn_view_str(spell(where, scope));

    return login ? cpn_may_data_at(s, p, action, at, AT(0, 12, 0)) : cpn_may(s, p, action, at);
}

static void
actions_of_the_built_in_roles(void **state)
{
    static const struct {
        const char *role, *action;
        bool login, allowed;
    } cases[] = {
        { "Reader@$lab", "Microsoft.Compute/virtualMachines/write", false, false },
        { "Reader@$lab", "Microsoft.Compute/virtualMachines/readX", false, false },
        { "Reader@$lab", "Microsoft.Network/bastionHosts/disconnectactivesessions/action", false,
          false },
        { "Contributor@$lab", "Microsoft.Authorization/roleAssignments/write", false, false },
        { "Contributor@$lab", "microsoft.authorization/ROLEASSIGNMENTS/DELETE", false, false },
        { "Owner@$lab", "Microsoft.Compute/virtualMachines/login/action", true, false },
        { "Virtual_Machine_User_Login@$lab",
          "Microsoft.Compute/virtualMachines/loginAsAdmin/action", true, false },
        { "Virtual_Machine_User_Login@$lab", "Microsoft.Compute/virtualMachines/read", false,
          false },
        { "Virtual_Machine_User_Login@$lab2", "Microsoft.Compute/virtualMachines/login/action",
          true, false },
        { "Reader@$lab", "Microsoft.Compute/virtualMachines/read", false, true },
        { "Contributor@$lab", "Microsoft.Authorization/roleAssignments/read", false, true },
        { "Contributor@$lab", "Microsoft.Network/bastionHosts/disconnectactivesessions/action",
          false, true },
        { "Owner@$lab", "Microsoft.Authorization/roleAssignments/write", false, true },
        { "Virtual_Machine_User_Login@$lab", "Microsoft.Compute/virtualMachines/login/action", true,
          true },
        { "Virtual_Machine_Administrator_Login@$lab",
          "Microsoft.Compute/virtualMachines/loginAsAdmin/action", true, true },
        { "1c0163c0-47e6-4577-8991-ea5c82e286e4@$lab",
          "Microsoft.Compute/virtualMachines/loginasadmin/action", true, true },
    };
    cpn_snapshot *base = make_world();

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(cases); i++) {
        cpn_snapshot *s = snapshot_of(base, &(cpn_row){ .grants = cases[i].role });

        if (may(s, "$ada", cases[i].action, "$web1", cases[i].login) != cases[i].allowed)
            fail_msg("%s %s", cases[i].role, cases[i].action);
        assert_false(may(s, "$ada", cases[i].action, "/", cases[i].login));
        assert_false(may(s, "$bob", cases[i].action, "$web1", cases[i].login));
        assert_false(may(s, "$nobody", cases[i].action, "$web1", cases[i].login));
        cpn_snapshot_unref(s);
    }
    cpn_snapshot_unref(base);
}

static bool
count_one(void *owner, const char *id, const json_t *body)
{
    assert_non_null(id);
    assert_non_null(body);
    return ++*(unsigned *)owner < 3;
}

static unsigned
seen(const cpn_snapshot *s, const char *kind, const char *who)
{
    char id[4096];
    unsigned n = 0;

    cpn_snapshot_each(s, kind, who ? cpn_snapshot_principal(s, cpn_view_str(spell(id, who))) : NULL,
                      count_one, &n);
    return n;
}

static void
lists_show_what_one_may_read(void **state)
{
    cpn_snapshot *base = make_world();
    cpn_snapshot *s = snapshot_of(
        base, &(cpn_row){ .grants = "Reader@$web1 $bob:Owner@/ $off:Owner@/ Reader@$lab2" });

    (void)state;
    assert_int_equal(seen(s, CPN_KIND_CREDENTIAL, "$bob"), 0);
    assert_int_equal(seen(s, CPN_KIND_CREDENTIAL, NULL), 1);
    assert_int_equal(seen(s, CPN_KIND_MACHINE, "$off"), 0);
    assert_int_equal(seen(s, CPN_KIND_MACHINE, "$ci"), 0);
    assert_int_equal(seen(s, CPN_KIND_MACHINE, "$ada"), 1);
    assert_int_equal(seen(s, CPN_KIND_NETWORK, "$ada"), 0);
    assert_int_equal(seen(s, CPN_KIND_GROUP, "$ada"), 1);
    assert_int_equal(seen(s, CPN_KIND_PRINCIPAL, "$ada"), 1);
    assert_int_equal(seen(s, CPN_KIND_ASSIGNMENT, "$ada"), 2);
    assert_int_equal(seen(s, CPN_KIND_MACHINE, "$bob"), 3);
    assert_int_equal(seen(s, CPN_KIND_PRINCIPAL, "$bob"), 3);
    assert_int_equal(seen(s, CPN_KIND_ROLE, "$bob"), 1);
    assert_int_equal(seen(s, "nonsense", NULL), 0);
    cpn_snapshot_unref(s);
    cpn_snapshot_unref(base);
}

static void
rights_anywhere(void **state)
{
    static const char give[] = "Microsoft.Authorization/roleAssignments/write";
    static const struct {
        const char *grants;
        bool ada, ci; /* ci is in ops */
    } given[] = {
        { "", false, false },
        { "Contributor@/", false, false },
        { "$off:Owner@/", false, false },
        { "Owner@$web1", true, false },
        { "$ops:Owner@$web1", false, true },
        { "Owner@$web1 !Owner@$lab", false, false },
        { "Owner@$web1 Owner@$lab2 !Owner@$web1", true, false },
    };
    cpn_snapshot *base = make_world();
    char ada[4096], ci[4096];

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(given); i++) {
        cpn_snapshot *s = snapshot_of(base, &(cpn_row){ .grants = given[i].grants });

        if (cpn_may_anywhere(s, cpn_snapshot_principal(s, cpn_view_str(spell(ada, "$ada"))),
                             give) != given[i].ada ||
            cpn_may_anywhere(s, cpn_snapshot_principal(s, cpn_view_str(spell(ci, "$ci"))), give) !=
                given[i].ci)
            fail_msg("%s", given[i].grants);
        assert_false(cpn_may_anywhere(s, NULL, give));
        cpn_snapshot_unref(s);
    }
    cpn_snapshot_unref(base);
}

/* ---- scopes ---- */

static void
a_scope_ends_at_a_segment(void **state)
{
    static const struct {
        const char *outer, *inner;
        bool holds;
    } pairs[] = {
        { "/groups/lab", "/groups/lab2", false },
        { "/groups/lab", "/groups/la", false },
        { "/groups/lab", "/", false },
        { "/groups/lab", "", false },
        { "/groups/lab/", "/groups/lab", false },
        { "/groups/lab", "/groups/lab", true },
        { "/groups/lab", "/Groups/LAB/machines/x", true },
        { "/", "/", true },
        { "/", "/groups/lab", true },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(pairs); i++)
        if (cpn_scope_holds(cpn_view_str(pairs[i].outer), cpn_view_str(pairs[i].inner)) !=
            pairs[i].holds)
            fail_msg("%s holds %s", pairs[i].outer, pairs[i].inner);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scope_ends_at_a_segment),
        cmocka_unit_test(every_row),
        cmocka_unit_test(every_limit),
        cmocka_unit_test(rights_anywhere),
        cmocka_unit_test(existence_does_not_leak),
        cmocka_unit_test(verdicts_in_words_and_json),
        cmocka_unit_test(actions_of_the_built_in_roles),
        cmocka_unit_test(lists_show_what_one_may_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
