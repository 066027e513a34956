// What Azure's own libraries of today make of the gateway: MSAL at each form of the authority, the network client's
// long-running operations and pages. One JSON line a step: {"step", "got"} or {"step", "error"}.
import * as msal from "@azure/msal-node";
import { NetworkManagementClient } from "@azure/arm-network";

const [url, subscription, name, password, appId, secret] = process.argv.slice(2);
const az = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const scopes = [url + "/.default"];

async function step(what, run) {
    try {
        console.log(JSON.stringify({ step: what, got: await run() ?? null }));
    } catch (e) {
        console.log(JSON.stringify({ step: what, error: { code: e.errorCode ?? e.code, status: e.statusCode, message: e.message } }));
    }
}

const all = async pages => { const out = []; for await (const x of pages) out.push(x); return out; };
const discovery = await (await fetch(url + "/adfs/.well-known/openid-configuration")).json();
const auth = authority => ({ authority, knownAuthorities: [new URL(url).host] });

async function signIn(tenant) {
    const authority = `${url}/${tenant}`;
    const app = new msal.PublicClientApplication({ auth: { clientId: az, ...auth(authority) } });
    await step(`${tenant} password`, async () =>
        (await app.acquireTokenByUsernamePassword({ scopes, username: name, password })).account.username);
    const [account] = await app.getTokenCache().getAllAccounts();
    await step(`${tenant} refresh`, async () =>
        (await app.acquireTokenSilent({ account, scopes, forceRefresh: true })).tokenType);
    await step(`${tenant} wrong`, () => app.acquireTokenByUsernamePassword({ scopes, username: name, password: "wrong" }));
    // A service's tenant has to be one; MSAL sees to that itself.
    if (tenant === "common" || tenant === "organizations")
        return;
    await step(`${tenant} device`, async () => {
        let shown;
        const cancelled = { scopes, deviceCodeCallback: m => { shown = m; cancelled.cancel = true; } };
        await app.acquireTokenByDeviceCode(cancelled).catch(() => {});
        return { uri: shown.verificationUri, message: shown.message.includes(shown.userCode) };
    });
    const service = new msal.ConfidentialClientApplication({ auth: { clientId: appId, clientSecret: secret, ...auth(authority) } });
    await step(`${tenant} service`, async () => (await service.acquireTokenByClientCredential({ scopes })).tokenType);
}

for (const tenant of ["adfs", discovery.tenant, "common", "organizations"])
    await signIn(tenant);

const app = new msal.PublicClientApplication({ auth: { clientId: az, ...auth(`${url}/${discovery.tenant}`) } });
const { accessToken, expiresOn } = await app.acquireTokenByUsernamePassword({ scopes, username: name, password });
const c = new NetworkManagementClient({ getToken: async () => ({ token: accessToken, expiresOnTimestamp: +expiresOn }) },
                                      subscription, { endpoint: url });
const subnet = `/subscriptions/${subscription}/resourceGroups/lab/providers/Microsoft.Network/virtualNetworks/hub/subnets/AzureBastionSubnet`;
const made = { location: "local", sku: { name: "Standard" }, enableTunneling: true, ipConfigurations: [{ name: "c", subnet: { id: subnet } }] };

await step("list", async () => (await all(c.bastionHosts.list())).map(b => b.name));
await step("get", async () => { const b = await c.bastionHosts.get("lab", "door"); return [b.enableTunneling, b.enableIpConnect, b.dnsName]; });
await step("create", async () => (await c.bastionHosts.beginCreateOrUpdateAndWait("lab", "sdk", made, { updateIntervalInMs: 100 })).name);
await step("tag", async () => (await c.bastionHosts.beginUpdateTagsAndWait("lab", "sdk", { tags: { größe: "m" } })).tags);
await step("delete", async () => { await c.bastionHosts.beginDeleteAndWait("lab", "sdk", { updateIntervalInMs: 100 }); });
await step("gone", () => c.bastionHosts.get("lab", "sdk"));
await step("active", async () => (await all(await c.beginListActiveSessionsAndWait("lab", "door", { updateIntervalInMs: 100 }))).length);
await step("disconnect", async () => (await all(c.listDisconnectActiveSessions("lab", "door", { sessionIds: ["x", "y"] }))).map(s => s.state));
await step("read only", () => c.virtualNetworks.beginCreateOrUpdateAndWait("lab", "hub", {}));
