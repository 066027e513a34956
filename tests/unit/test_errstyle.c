/* In whose words an error is said: nobody gets those of another one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "codec/errstyle.h"

static void
each_path_has_its_askers_words(void **state)
{
    static const struct {
        const char *path;
        cpn_error_style errors;
    } rows[] = {
        { "", CPN_ERRORS_API },
        { "/", CPN_ERRORS_API },
        { "*", CPN_ERRORS_API },
        { "/v1/tunnel", CPN_ERRORS_API },
        { "/v1/oauth2/x", CPN_ERRORS_API }, /* ours, whatever is behind it */
        { "/api", CPN_ERRORS_API },
        { "/api/tokens", CPN_ERRORS_AZ },
        { "/webtunnelv2/ticket", CPN_ERRORS_AZ },
        { "/omni/webtunnel/ticket", CPN_ERRORS_AZ },
        { "/v1.0/me", CPN_ERRORS_GRAPH },
        { "/subscriptions", CPN_ERRORS_ARM },
        { "/Subscriptions/1/resourceGroups/g", CPN_ERRORS_ARM },
        { "/metadata/endpoints", CPN_ERRORS_ARM },
        { "/subscription/1/Providers/Microsoft.Network/x", CPN_ERRORS_ARM },
        { "/adfs/oauth2/token", CPN_ERRORS_OAUTH },
        { "/contoso/oauth2/v2.0/token", CPN_ERRORS_OAUTH },
        { "/contoso/v2.0/.well-known/openid-configuration", CPN_ERRORS_OAUTH },
        { "/contoso/oauth", CPN_ERRORS_API },
        { "/subscriptions.example/oauth2/v2.0/token", CPN_ERRORS_OAUTH },
        { "/tenantsx", CPN_ERRORS_API },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(rows); i++)
        if (cpn_errors_at(cpn_view_str(rows[i].path)) != rows[i].errors)
            fail_msg("%s", rows[i].path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_path_has_its_askers_words) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
