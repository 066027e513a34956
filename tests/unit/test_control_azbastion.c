/* Which bastion serves a request that names none: what refuses is passed over. Refusals first. */
#include "control_fixture.h"

#include "control/azbastion.h"
#include "control/usage.h"

/* The world with further bastions: "early" goes before "front" by its id, "near" stands in spoke.
 */
static void
add_bastion(const char *name, const char *body)
{
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(st.c->snapshot);
    char id[256];

    snprintf(id, sizeof(id), LAB NET "bastionHosts/%s", name);
    put_ok(e, CPN_KIND_BASTION, id, body);
    cpn_snapshot_unref(st.c->snapshot);
    st.c->snapshot = seal_ok(e);
}

#define IN(net, more)                                                                              \
    "{'virtualNetwork':'$" net "','enableTunneling':true,'enableIpConnect':true," more "}"

/* The name of the bastion that serves bob. going_on NULL: a new session. */
static const char *
serves(const char *target, uint16_t port, const cpn_session *going_on)
{
    static cpn_want want;
    char id[4096];
    const char *slash;

    memset(&want, 0, sizeof(want));
    want.port = port;
    want.azure = true;
    spell(id, target);
    if (target[0] == '$')
        assert_true(cpn_view_copy(cpn_view_str(id), want.target_id, sizeof(want.target_id)));
    else
        assert_true(cpn_view_copy(cpn_view_str(id), want.target_ip, sizeof(want.target_ip)));
    cpn_az_bastion(st.c, cpn_snapshot_principal(st.c->snapshot, cpn_view_str(GUID_OF("02"))), &want,
                   NULL, going_on);
    slash = strrchr(want.bastion, '/');
    return slash ? slash + 1 : "";
}

static void
when_none_allows_the_first_says_why(void **state)
{
    (void)state;
    add_bastion("early", IN("hub", "'sku':'Standard','ports':[22]"));
    add_bastion("late", IN("hub", "'sku':'Basic'"));
    assert_string_equal(serves("10.0.1.4", 8080, NULL), "early");
    assert_string_equal(serves("$isl1", 22, NULL), "early");
}

static void
ports_and_skus_are_looked_at(void **state)
{
    (void)state;
    add_bastion("early", IN("hub", "'sku':'Standard','ports':[22]"));
    assert_string_equal(serves("$web1", 22, NULL), "early");
    assert_string_equal(serves("$web1", 2222, NULL), "front");
    assert_string_equal(serves("10.0.1.4", 3389, NULL), "front");
    add_bastion("early", IN("hub", "'sku':'Basic'"));
    assert_string_equal(serves("$web1", 22, NULL), "front");
}

static void
the_near_one_goes_before_the_peered_one(void **state)
{
    (void)state;
    add_bastion("near", IN("spoke", "'sku':'Standard','ports':[22]"));
    assert_string_equal(serves("$app1", 22, NULL), "near");
    assert_string_equal(serves("$app1", 2222, NULL), "front");
    assert_string_equal(serves("10.1.0.5", 22, NULL), "near");
    assert_string_equal(serves("10.1.0.5", 3389, NULL), "front");
    assert_string_equal(serves("$web1", 22, NULL), "front");
}

static void
other_ports_go_to_what_carries_any_protocol(void **state)
{
    (void)state;
    add_bastion("later", IN("hub", "'sku':'Standard','protocols':['any']"));
    assert_string_equal(serves("$web1", 8080, NULL), "later");
    assert_string_equal(serves("$web1", 22, NULL), "front");
    add_bastion("later", IN("hub", "'sku':'Standard','protocols':['any'],'ports':[443]"));
    assert_string_equal(serves("$web1", 8080, NULL), "front");
}

static void
a_full_one_is_passed_over_by_new_sessions(void **state)
{
    cpn_session at_early = { .counted = true }, at_front = { .counted = true };

    (void)state;
    add_bastion("early", IN("hub", "'sku':'Standard','scaleUnits':2"));
    snprintf(at_early.want.bastion, sizeof(at_early.want.bastion), "%s",
             LAB NET "bastionHosts/EARLY");
    snprintf(at_front.want.bastion, sizeof(at_front.want.bastion), "%s",
             LAB NET "bastionHosts/front");
    assert_string_equal(serves("$web1", 22, NULL), "early");
    assert_string_equal(serves("$web1", 22, &at_front), "front");
    for (unsigned i = 0; i < 80; i++)
        cpn_usage_session(st.c->sessions->usage, GUID_OF("01"), LAB NET "bastionHosts/early",
                          CPN_PROTOCOL_SSH, 1);
    assert_string_equal(serves("$web1", 22, NULL), "front");
    assert_string_equal(serves("$web1", 22, &at_early), "early");
}

static void
the_one_named_for_a_target_goes_first(void **state)
{
    char target[64];

    (void)state;
    add_bastion("small", IN("hub", "'sku':'Developer'"));
    assert_string_equal(serves("$web1", 22, NULL), "front");
    cpn_az_name(st.c, GUID_OF("01"), LAB CPU "virtualMachines/web1", LAB NET "bastionHosts/small");
    assert_string_equal(serves("$web1", 22, NULL), "front"); /* another's word */
    cpn_az_name(st.c, GUID_OF("02"), LAB CPU "virtualMachines/WEB1", LAB NET "bastionHosts/SMALL");
    assert_string_equal(serves("$web1", 22, NULL), "small");
    assert_string_equal(serves("$app1", 22, NULL), "front");
    assert_string_equal(serves("$web1", 2222, NULL), "front"); /* which it does not serve */
    cpn_az_name(st.c, GUID_OF("02"), LAB CPU "virtualMachines/web1", LAB NET "bastionHosts/front");
    assert_string_equal(serves("$web1", 22, NULL), "front");
    cpn_az_name(st.c, GUID_OF("02"), LAB CPU "virtualMachines/web1", LAB NET "bastionHosts/small");
    for (unsigned i = 0; i < CPN_AZ_NAMED_MAX; i++) {
        snprintf(target, sizeof(target), "/t/%u", i);
        cpn_az_name(st.c, GUID_OF("02"), target, LAB NET "bastionHosts/small");
    }
    assert_string_equal(serves("$web1", 22, NULL), "front"); /* forgotten */
}

static void
more_than_can_be_asked_are_not_asked(void **state)
{
    char name[16];

    (void)state;
    for (unsigned i = 0; i < CPN_AZ_CANDIDATES; i++) {
        snprintf(name, sizeof(name), "early%02u", i);
        add_bastion(name, IN("hub", "'sku':'Basic'"));
    }
    assert_string_equal(serves("$web1", 22, NULL), "early00");
    add_bastion("early63", IN("hub", "'sku':'Standard'"));
    assert_string_equal(serves("$web1", 22, NULL), "early63");
}

#define ON_STAGE(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(when_none_allows_the_first_says_why),
        ON_STAGE(ports_and_skus_are_looked_at),
        ON_STAGE(the_near_one_goes_before_the_peered_one),
        ON_STAGE(other_ports_go_to_what_carries_any_protocol),
        ON_STAGE(a_full_one_is_passed_over_by_new_sessions),
        ON_STAGE(the_one_named_for_a_target_goes_first),
        ON_STAGE(more_than_can_be_asked_are_not_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
