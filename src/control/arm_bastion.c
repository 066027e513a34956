/* Reads a bastion as Azure's clients write it, and shows one as they read it. */
#include "control/arm_bastion.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#define SUBNET "/subnets/AzureBastionSubnet"
#define CONFIGURATION "bastion_ip_config"

/* ---- out ---- */

static json_t *
ip_configurations(const char *id, const json_t *body)
{
    const char *name = cpn_json_string(body, "ipConfigurationName");
    const char *public_ip = cpn_json_string(body, "publicIPAddress");
    json_t *properties = json_pack("{s:s,s:s,s:{s:s+}}", "provisioningState", "Succeeded",
                                   "privateIPAllocationMethod", "Dynamic", "subnet", "id",
                                   cpn_json_string(body, "virtualNetwork"), SUBNET);

    if (!name[0])
        name = CONFIGURATION;
    if (public_ip[0])
        json_object_set_new(properties, "publicIPAddress", json_pack("{s:s}", "id", public_ip));
    return json_pack("[{s:s,s:s++,s:s,s:o}]", "name", name, "id", id,
                     "/bastionHostIpConfigurations/", name, "type",
                     "Microsoft.Network/bastionHosts/bastionHostIpConfigurations", "properties",
                     properties);
}

static json_t *
bastion_properties(const cpn_control *c, const char *id, const json_t *body)
{
    const cpn_bastion *b = cpn_snapshot_bastion(c->snapshot, cpn_view_str(id));
    json_t *p =
        json_pack("{s:s,s:s,s:i,s:b,s:b,s:b,s:b,s:b,s:b,s:b,s:b,s:o}", "provisioningState",
                  "Succeeded", "dnsName", c->host, "scaleUnits", (int)b->scale_units,
                  "enableTunneling", b->enable_tunneling, "enableIpConnect", b->enable_ip_connect,
                  "disableCopyPaste", json_is_true(json_object_get(body, "disableCopyPaste")),
                  "enableFileCopy", json_is_true(json_object_get(body, "enableFileCopy")),
                  "enableShareableLink", 0, "enableKerberos", 0, "enableSessionRecording", 0,
                  "enablePrivateOnlyBastion", 0, "ipConfigurations", ip_configurations(id, body));

    if (cpn_bastion_is_small(b))
        json_object_set_new(p, "virtualNetwork",
                            json_pack("{s:O}", "id", json_object_get(body, "virtualNetwork")));
    if (json_object_get(body, "protocols"))
        json_object_set(p, "protocols", json_object_get(body, "protocols"));
    if (json_object_get(body, "ports"))
        json_object_set(p, "ports", json_object_get(body, "ports"));
    return p;
}

static json_t *
bastion_shape(const cpn_control *c, const char *id, const json_t *body)
{
    json_t *item = cpn_arm_envelope(c, &cpn_arm_bastion, id, body);
    char etag[CPN_ARM_ETAG_SIZE];

    cpn_arm_etag(body, etag);
    json_object_set_new(item, "etag", json_string(etag));
    json_object_set_new(item, "sku", json_pack("{s:O}", "name", json_object_get(body, "sku")));
    json_object_set_new(item, "properties", bastion_properties(c, id, body));
    return item;
}

const cpn_arm_type cpn_arm_bastion = { CPN_KIND_BASTION, "Microsoft.Network", "bastionHosts", true,
                                       bastion_shape };

/* ---- in ---- */

bool
cpn_arm_wrong_set(cpn_arm_wrong *w, int status, const char *code, const char *fmt, ...)
{
    va_list ap;

    w->status = status;
    w->code = code;
    va_start(ap, fmt);
    vsnprintf(w->sentence, sizeof(w->sentence), fmt, ap);
    va_end(ap);
    return false;
}

static bool
format_wrong(cpn_arm_wrong *w, const cpn_err *err)
{
    return cpn_arm_wrong_set(w, 400, "InvalidRequestFormat", "Cannot parse the request: %s",
                             err->msg);
}

/* Azure's own properties that would promise what is not there. */
static bool
promises_refused(const json_t *p, cpn_arm_wrong *w)
{
    static const char *const absent[] = { "enableShareableLink", "enableKerberos",
                                          "enableSessionRecording", "enablePrivateOnlyBastion" };
    cpn_err err = { 0 };

    for (size_t i = 0; i < CPN_COUNT(absent); i++) {
        bool on = false;

        if (cpn_json_opt_bool(p, "properties", absent[i], &on, &err) != CPN_OK)
            return format_wrong(w, &err);
        if (on)
            return cpn_arm_wrong_set(w, 400, "InvalidParameter",
                                     "properties.%s: this gateway has no such feature; only false "
                                     "is accepted.",
                                     absent[i]);
    }
    if (json_array_size(json_object_get(json_object_get(p, "networkAcls"), "ipRules")))
        return cpn_arm_wrong_set(w, 400, "InvalidParameter",
                                 "properties.networkAcls: this gateway has no address lists; only "
                                 "an empty one is accepted.");
    if (json_object_get(p, "sessionRecordingConfiguration"))
        return cpn_arm_wrong_set(w, 400, "InvalidParameter",
                                 "properties.sessionRecordingConfiguration: this gateway records "
                                 "no sessions.");
    return true;
}

static bool
top_read(json_t *body, const json_t *asked, cpn_arm_wrong *w)
{
    static const char *const names[] = { "id",       "name",     "type",       "etag",
                                         "location", "tags",     "sku",        "properties",
                                         "zones",    "identity", "systemData", NULL };
    static const char *const sku_names[] = { "name", "tier", NULL };
    const char *location = "", *sku = "Standard";
    json_t *sku_object = NULL, *tags = NULL, *zones = NULL;
    cpn_err err = { 0 };

    if (cpn_json_only(asked, "", names, &err) != CPN_OK ||
        cpn_json_opt_str(asked, "", "location", 64, &location, &err) != CPN_OK ||
        cpn_json_opt_object(asked, "", "sku", 2, &sku_object, &err) != CPN_OK ||
        cpn_json_opt_object(asked, "", "tags", 50, &tags, &err) != CPN_OK ||
        cpn_json_opt_array(asked, "", "zones", 3, &zones, &err) != CPN_OK ||
        (sku_object && (cpn_json_only(sku_object, "sku", sku_names, &err) != CPN_OK ||
                        cpn_json_opt_str(sku_object, "sku", "name", 32, &sku, &err) != CPN_OK)))
        return format_wrong(w, &err);
    if (!location[0])
        return cpn_arm_wrong_set(w, 400, "LocationRequired",
                                 "The location property is required for this definition.");
    if (json_array_size(zones) || json_object_get(asked, "identity"))
        return cpn_arm_wrong_set(w, 400, "InvalidParameter",
                                 "%s: this gateway has no such thing; leave it out.",
                                 json_array_size(zones) ? "zones" : "identity");
    json_object_set_new(body, "location", json_string(location));
    json_object_set_new(body, "sku", json_string(sku));
    if (tags)
        json_object_set(body, "tags", tags);
    return true;
}

static bool
sku_read(json_t *body, cpn_arm_wrong *w)
{
    static const char *const skus[] = { "Basic", "Standard", "Premium", "Developer",
                                        "QuickConnect" };
    const char *asked = cpn_json_string(body, "sku");

    for (size_t i = 0; i < CPN_COUNT(skus); i++) {
        if (strcasecmp(asked, skus[i]) == 0) {
            json_object_set_new(body, "sku", json_string(skus[i]));
            return true;
        }
    }
    return cpn_arm_wrong_set(
        w, 400, "InvalidParameter",
        "sku.name: '%s' is none of Basic, Standard, Premium, Developer, QuickConnect.", asked);
}

static bool
switches_read(json_t *body, const json_t *p, cpn_arm_wrong *w)
{
    static const char *const kept[] = { "enableTunneling", "enableIpConnect", "disableCopyPaste",
                                        "enableFileCopy" };
    int64_t units = 2;
    cpn_err err = { 0 };

    for (size_t i = 0; i < CPN_COUNT(kept); i++) {
        bool on = false;

        if (cpn_json_opt_bool(p, "properties", kept[i], &on, &err) != CPN_OK)
            return format_wrong(w, &err);
        if (i < 2 || on)
            json_object_set_new(body, kept[i], json_boolean(on));
    }
    if (cpn_json_opt_int(p, "properties", "scaleUnits", (cpn_json_range){ 2, 50 }, &units, &err) !=
        CPN_OK)
        return format_wrong(w, &err);
    json_object_set_new(body, "scaleUnits", json_integer(units));
    return true;
}

/* {"id": "…"} at a name; "" when absent, or without an id, as clients write what was not given. */
static bool
ref_read(const json_t *p, const char *path, const char *name, const char **id, cpn_arm_wrong *w)
{
    json_t *ref = NULL;
    char at[96];
    cpn_err err = { 0 };

    *id = "";
    snprintf(at, sizeof(at), "%s.%s", path, name);
    if (cpn_json_opt_object(p, path, name, 16, &ref, &err) != CPN_OK ||
        (ref && cpn_json_opt_str(ref, at, "id", CPN_ID_MAX, id, &err) != CPN_OK))
        return format_wrong(w, &err);
    return true;
}

static bool
configuration_read(json_t *body, const json_t *one, char subnet[CPN_ID_MAX + 1], cpn_arm_wrong *w)
{
    static const char *const names[] = { "name", "id", "etag", "type", "properties", NULL };
    static const char *const inside[] = { "subnet",
                                          "publicIPAddress",
                                          "privateIPAddress",
                                          "privateIPAllocationMethod",
                                          "provisioningState",
                                          NULL };
    static const char path[] = "properties.ipConfigurations[0].properties";
    const char *name = CONFIGURATION, *id, *public_ip;
    json_t *p = NULL;
    cpn_err err = { 0 };

    if (cpn_json_only(one, "properties.ipConfigurations[0]", names, &err) != CPN_OK ||
        cpn_json_opt_str(one, "properties.ipConfigurations[0]", "name", CPN_NAME_MAX, &name,
                         &err) != CPN_OK ||
        cpn_json_opt_object(one, "properties.ipConfigurations[0]", "properties", 8, &p, &err) !=
            CPN_OK ||
        (p && cpn_json_only(p, path, inside, &err) != CPN_OK))
        return format_wrong(w, &err);
    if (!ref_read(p, path, "subnet", &id, w) ||
        !ref_read(p, path, "publicIPAddress", &public_ip, w))
        return false;
    snprintf(subnet, CPN_ID_MAX + 1, "%s", id);
    if (public_ip[0] && !strcasestr(public_ip, "/providers/Microsoft.Network/publicIPAddresses/"))
        return cpn_arm_wrong_set(w, 400, "InvalidParameter",
                                 "%s.publicIPAddress.id: not the id of a public IP address.", path);
    if (strcmp(name, CONFIGURATION) != 0)
        json_object_set_new(body, "ipConfigurationName", json_string(name));
    if (public_ip[0])
        json_object_set_new(body, "publicIPAddress", json_string(public_ip));
    return true;
}

/* The network, from the one ipConfiguration or, for Developer, by itself. */
static bool
place_read(json_t *body, const json_t *p, char subnet[CPN_ID_MAX + 1], cpn_arm_wrong *w)
{
    bool developer = strcmp(cpn_json_string(body, "sku"), "Developer") == 0 ||
                     strcmp(cpn_json_string(body, "sku"), "QuickConnect") == 0;
    json_t *list = NULL;
    const char *network;
    size_t n, tail = strlen(SUBNET);
    cpn_err err = { 0 };

    subnet[0] = '\0';
    if (cpn_json_opt_array(p, "properties", "ipConfigurations", 1, &list, &err) != CPN_OK)
        return format_wrong(w, &err);
    if (json_array_size(list) && !json_is_object(json_array_get(list, 0)))
        return cpn_arm_wrong_set(w, 400, "InvalidRequestFormat",
                                 "Cannot parse the request: properties.ipConfigurations[0]: "
                                 "expected an object");
    if (!ref_read(p, "properties", "virtualNetwork", &network, w) ||
        (json_array_size(list) && !configuration_read(body, json_array_get(list, 0), subnet, w)))
        return false;
    if (developer && network[0])
        snprintf(subnet, CPN_ID_MAX + 1, "%.*s%s", CPN_ID_MAX - 40, network, SUBNET);
    n = strlen(subnet);
    if (n <= tail || strcasecmp(subnet + n - tail, SUBNET) != 0)
        return cpn_arm_wrong_set(w, 400, "InvalidParameter",
                                 "properties.ipConfigurations[0].properties.subnet.id: expected "
                                 "the id of a virtual network's AzureBastionSubnet.");
    if (!developer && network[0] &&
        (strlen(network) != n - tail || strncasecmp(network, subnet, n - tail) != 0))
        return cpn_arm_wrong_set(
            w, 400, "InvalidParameter",
            "properties.virtualNetwork: a bastion of this SKU is in the network "
            "of its ipConfiguration.");
    json_object_set_new(body, "virtualNetwork", json_stringn(subnet, n - tail));
    return true;
}

/* Ours; a client that does not know them must not widen what they narrow. */
static void
ours_keep(json_t *body, const json_t *p, const json_t *now)
{
    static const char *const ours[] = { "protocols", "ports" };

    for (size_t i = 0; i < CPN_COUNT(ours); i++) {
        json_t *v = json_object_get(p, ours[i]);

        if (!v)
            v = json_object_get(now, ours[i]);
        if (v)
            json_object_set(body, ours[i], v);
    }
}

static bool
properties_only(const json_t *p, cpn_arm_wrong *w)
{
    static const char *const names[] = { "provisioningState",
                                         "dnsName",
                                         "scaleUnits",
                                         "disableCopyPaste",
                                         "enableFileCopy",
                                         "enableIpConnect",
                                         "enableTunneling",
                                         "enableShareableLink",
                                         "enableKerberos",
                                         "enableSessionRecording",
                                         "enablePrivateOnlyBastion",
                                         "ipConfigurations",
                                         "virtualNetwork",
                                         "networkAcls",
                                         "sessionRecordingConfiguration",
                                         "protocols",
                                         "ports",
                                         NULL };
    cpn_err err = { 0 };

    return cpn_json_only(p, "properties", names, &err) == CPN_OK || format_wrong(w, &err);
}

bool
cpn_arm_bastion_read(json_t **out, char subnet[CPN_ID_MAX + 1], const json_t *asked,
                     const json_t *now, cpn_arm_wrong *w)
{
    CPN_AUTO(cpn_json_auto) json_t *body = json_object();
    json_t *p = NULL;
    cpn_err err = { 0 };

    if (cpn_json_opt_object(asked, "", "properties", 32, &p, &err) != CPN_OK)
        return format_wrong(w, &err);
    if (!top_read(body, asked, w) || !sku_read(body, w) || !properties_only(p, w) ||
        !promises_refused(p, w) || !switches_read(body, p, w) || !place_read(body, p, subnet, w))
        return false;
    ours_keep(body, p, now);
    *out = cpn_steal(&body);
    return true;
}
