using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using NJsonSchema;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

public sealed class RunDocumentTests
{
    readonly IdSequence ids = new(TimeProvider.System);

    [Theory]
    [InlineData(RunStatus.Succeeded)]
    [InlineData(RunStatus.Failed)]
    [InlineData(RunStatus.OutOfMemory)]
    public async Task The_document_is_what_the_schema_says(RunStatus status) =>
        Assert.Empty((await SchemaAsync()).Validate(await DocumentAsync(status)));

    [Theory]
    [InlineData("durationMs")]
    [InlineData("status")]
    [InlineData("steps")]
    public async Task A_field_that_is_missing_or_renamed_is_against_the_schema(string field)
    {
        var document = JsonNode.Parse(await DocumentAsync(RunStatus.Succeeded))!.AsObject();
        var value = document[field];
        document.Remove(field);
        Assert.NotEmpty((await SchemaAsync()).Validate(document.ToJsonString()));
        document[field + "2"] = value;
        Assert.Equal(2, (await SchemaAsync()).Validate(document.ToJsonString()).Count);
    }

    [Fact]
    public async Task Every_state_and_code_is_in_the_schema()
    {
        var definitions = JsonElement.Parse(await File.ReadAllTextAsync(SchemaPath())).GetProperty("definitions");
        AssertSame<RunStatus>("run", "status");
        AssertSame<DeliveryStatus>("delivery", "status");
        AssertSame<StepStatus>("step", "status");
        AssertSame<AttemptErrorCode>("attemptError", "code");
        AssertSame<AttemptPhase>("attemptError", "phase");

        void AssertSame<T>(string definition, string property)
            where T : struct, Enum =>
            Assert.Equal(
                Names.All<T>().Order(),
                definitions
                    .GetProperty(definition)
                    .GetProperty("properties")
                    .GetProperty(property)
                    .GetProperty("enum")
                    .EnumerateArray()
                    .Select(e => e.GetString())
                    .Order()
            );
    }

    [Fact]
    public async Task The_document_reads_back_as_it_was_written()
    {
        string text = await DocumentAsync(RunStatus.Failed);
        var read = JsonSerializer.Deserialize(text, ApiJson.Default.RunDocument)!;
        Assert.Equal(text, JsonSerializer.Serialize(read, ApiJson.Default.RunDocument));
    }

    [Fact]
    public void A_body_that_is_no_text_is_Base64_with_its_length()
    {
        var delivery = new Delivery(
            new(1),
            new(2),
            WorkspaceId.Default,
            new(3),
            0,
            0,
            "http://x:80",
            new("PUT", "http://x/", [], new byte[] { 0xff, 0x00 }),
            DeliveryStatus.Captured
        );
        var request = DeliveryDocument.From(new StoredDelivery(delivery, "w", [])).Request;
        Assert.Equal(("/wA=", "base64", 2), (request.Body, request.BodyEncoding, request.BodyBytes));
    }

    async Task<string> DocumentAsync(RunStatus status)
    {
        using var folder = new TempFolder();
        await using var store = SqliteStore.Open(
            Path.Combine(folder.Path, "sendoff.db"),
            TestSecrets.Concealment(),
            ids,
            new EngineLimits(),
            TimeProvider.System,
            NullLogger<SqliteStore>.Instance
        );
        var workflow = await store.DeployAsync(
            "orders",
            new Dictionary<string, string> { ["step.js"] = "" },
            [new HttpTrigger("orders", TriggerResponse.Default)],
            default
        );
        var id = await SampleRuns.AddAsync(store, ids, workflow.Id, status);
        return JsonSerializer.Serialize(RunDocument.From((await store.GetRunAsync(id, default))!), ApiJson.Default.RunDocument);
    }

    static Task<JsonSchema> SchemaAsync() => JsonSchema.FromFileAsync(SchemaPath());

    internal static string SchemaPath([CallerFilePath] string here = "") =>
        Path.Combine(Path.GetDirectoryName(here)!, "../../../docs/run-document.schema.json");
}
