using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Sendoff.Engine.Storage;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>Steps get the bytes of a body as they came, so that a sender's signature can be checked (E7).</summary>
public sealed class RawBodyTests(SharedServer shared) : IClassFixture<SharedServer>
{
    const string Verify = """
        import { createHash } from "node:crypto";
        const hash = (value) => createHash("sha256").update(value).digest("hex");
        export default defineComponent({
          async run({ steps, $ }) {
            const { event, raw_event } = steps.trigger;
            const own = hash(Buffer.from(raw_event.body_b64, "base64"));
            const same = event.bodyRaw === undefined || hash(event.bodyRaw) === own;
            await $.respond({ status: 200, body: same ? own : "bodyRaw differs" });
          },
        });
        """;

    readonly TestServer server = shared.Server;

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<string, string, string> Bodies =>
        new()
        {
            { "compact JSON", "application/json", "{\"id\":1,\"name\":\"x\"}" },
            { "indented JSON with white space around it", "application/json", " {\r\n  \"id\": \"evt_1\",\n\t\"amount\": 1\n}\n" },
            {
                "numbers and escapes that are written in another way",
                "application/json",
                "{\"u\":\"https:\\/\\/shop.example\\/1\",\"p\":10.00,\"n\":\"caf\\u00e9\",\"big\":12345678901234567890,\"e\":1E2}"
            },
            {
                "names that come twice, and one called body",
                "application/json",
                "{\"a\":1,\"a\":2,\"body\":{\"body\":\"}\\\"\\\\\"},\"event\":[\"]\"]}"
            },
            { "half a surrogate pair", "application/json", "{\"a\":\"\\ud83d\"}" },
            { "a lone JSON string", "application/json", "\"text \\\" \\\\\"" },
            { "JSON without a content type", "", "[1, 2]" },
            { "JSON behind a mark", "application/json", "\ufeff{\"a\":1}" },
            { "JSON in UTF-16", "application/json; charset=utf-16", "utf-16:{\"a\":\"é\"}" },
            { "a form", "application/x-www-form-urlencoded", "payload=%7B%22a%22%3A1%7D&x=a+b&&x=%e9&y" },
            { "a form that is JSON", "application/x-www-form-urlencoded", "{\"a\": 1}" },
            {
                "a multipart form with a file",
                "multipart/form-data; boundary=B",
                "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; "
                    + "filename=\"f.txt\"\r\n\r\nx\r\n--B--\r\n"
            },
            { "a multipart form that is none", "multipart/form-data; boundary=B", "--B\r\nno" },
            { "text", "text/plain", "one\r\ntwo\0\u2028é" },
            { "text behind a mark", "text/plain", "\ufeffone" },
            { "text in another charset", "text/xml; charset=iso-8859-1", "latin1:<n>José</n>" },
            { "bytes", "image/png", "latin1:\u0089PNG\r\n\u001a\n\u00ff" },
            { "bytes behind a mark", "image/png", "latin1:\u00ef\u00bb\u00bf\u00ff" },
            { "nothing but a mark", "text/plain", "\ufeff" },
            { "nothing", "application/json", "" },
        };

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task A_step_gets_the_bytes_that_came(string what, string type, string body)
    {
        string hook = await server.DeployAsync("raw", Verify, response: "custom");
        byte[] bytes = BytesOf(body);
        using var response = await server.NewClient().PostAsync(hook, Content(bytes, type), Ct);

        Assert.Equal((what, Convert.ToHexStringLower(SHA256.HashData(bytes))), (what, await response.Content.ReadAsStringAsync(Ct)));
    }

    [Fact]
    public async Task A_replay_and_a_second_step_get_them_too()
    {
        byte[] bytes = Encoding.Latin1.GetBytes("a=%e9&b=\u00e9");
        string hook = await server.DeployAsync(
            "raw2",
            new()
            {
                ["workflow.yaml"] =
                    "triggers: [ { type: http, key: raw2 } ]\nsteps: [ { namespace: first, uses: ./first.js }, { namespace: second, uses: "
                    + "./second.js } ]",
                ["first.js"] = "event.body = 'changed'; return steps.trigger.raw_event.body_b64",
                ["second.js"] =
                    "return [steps.trigger.raw_event.body_b64, Buffer.from(event.bodyRaw).toString('base64'), "
                    + "JSON.stringify(event).includes('bodyRaw')]",
            }
        );
        using var response = await server
            .NewClient()
            .PostAsync(hook, Content(bytes, "application/x-www-form-urlencoded; charset=windows-1252"), Ct);
        string raw = Convert.ToBase64String(bytes),
            first = response.Headers.GetValues("sendoff-run").Single();
        using var replayed = await server.Http.PostAsync($"/api/v1/runs/{first}/replay", null, Ct);
        string second = JsonElement.Parse(await replayed.Content.ReadAsStringAsync(Ct)).GetProperty("id").GetString()!;

        foreach (string id in (string[])[first, second])
        {
            var steps = (await server.EndOfAsync(id)).Steps;
            Assert.Equal(raw, steps[0].Exports.GetProperty("$return_value").GetString());
            Assert.Equal($"[\"{raw}\",\"{raw}\",false]", steps[1].Exports.GetProperty("$return_value").GetRawText());
        }
    }

    [Fact]
    public async Task A_secret_in_the_body_is_in_no_record_and_reaches_the_step()
    {
        const string secret = "p4ss&word in a form";
        (
            await server.Http.PutAsync(
                "/api/v1/secrets/FORM_SECRET",
                new StringContent($"{{\"value\":\"{secret}\"}}", Encoding.UTF8, "application/json"),
                Ct
            )
        ).EnsureSuccessStatusCode();
        string hook = await server.DeployAsync("raw3", Verify, response: "custom");
        byte[] bytes = Encoding.UTF8.GetBytes($"password={Uri.EscapeDataString(secret)}");
        using var response = await server.NewClient().PostAsync(hook, Content(bytes, "application/x-www-form-urlencoded"), Ct);

        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(bytes)), await response.Content.ReadAsStringAsync(Ct));
        Assert.True(RunId.TryParse(response.Headers.GetValues("sendoff-run").Single(), out var run));
        var stored = (await server.Store.GetEventAsync((await server.Store.GetRunAsync(run, Ct))!.Run.EventId, Ct))!;
        Assert.True(stored.Raw.IsEmpty);
        Assert.DoesNotContain("p4ss", Encoding.UTF8.GetString(stored.Json.Span));
        Assert.Equal(bytes, server.Get<Concealment>().Open(stored).Raw.ToArray());
    }

    static byte[] BytesOf(string body) =>
        body.StartsWith("latin1:", StringComparison.Ordinal) ? Encoding.Latin1.GetBytes(body[7..])
        : body.StartsWith("utf-16:", StringComparison.Ordinal) ? Encoding.Unicode.GetBytes(body[7..])
        : Encoding.UTF8.GetBytes(body);

    static ByteArrayContent Content(byte[] bytes, string type)
    {
        var content = new ByteArrayContent(bytes);
        if (type.Length > 0)
            content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        return content;
    }
}
