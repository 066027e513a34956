/* caponier audit verify: is the record whole? */
#include "client/api.h"
#include "client/out.h"

static cpn_rc
audit_verify_run(cpn_cli *cli, cpn_err *err)
{
    static const cpn_column columns[] = { { "Whole", "ok" },
                                          { "Records", "records" },
                                          { "FirstBad", "firstBad" },
                                          { "Why", "why" },
                                          { 0 } };
    cpn_api a = { 0 };
    json_auto_t *answer = NULL;
    cpn_rc rc = cpn_api_open(&a, cli, err);

    if (rc == CPN_OK)
        rc = cpn_api_call(&a, "POST", "/v1/audit/verify", NULL, &answer, err);
    if (rc == CPN_OK)
        rc = cpn_out_object(cli, answer, columns, err);
    if (rc == CPN_OK && !json_is_true(json_object_get(answer, "ok")))
        rc = cpn_fail(err, CPN_E_PROTO, "the audit is not whole");
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_audit_verify = {
    .name = "audit verify",
    .brief = "Check the audit's chain of hashes; the first bad record is named",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .examples =
        (const cpn_example[]){ { "caponier audit verify", "exit status 0: whole, 1: not" }, { 0 } },
    .run = audit_verify_run,
};
