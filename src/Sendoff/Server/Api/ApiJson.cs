using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sendoff.Server.Api;

/// <summary>The format of all documents: camelCase, UTC times, null values included.</summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    NumberHandling = JsonNumberHandling.Strict,
    MaxDepth = ApiJson.MaxDepth,
    Converters = [typeof(UtcTime)]
)]
[JsonSerializable(typeof(RunDocument))]
[JsonSerializable(typeof(DeliveryDocument))]
[JsonSerializable(typeof(EventDocument))]
[JsonSerializable(typeof(WorkflowDocument))]
[JsonSerializable(typeof(VersionDocument))]
[JsonSerializable(typeof(DraftDocument))]
[JsonSerializable(typeof(CheckDocument))]
[JsonSerializable(typeof(ListDocument<RunSummaryDocument>))]
[JsonSerializable(typeof(ListDocument<DeliveryDocument>))]
[JsonSerializable(typeof(ListDocument<EventDocument>))]
[JsonSerializable(typeof(ListDocument<WorkflowDocument>))]
[JsonSerializable(typeof(ListDocument<VersionDocument>))]
[JsonSerializable(typeof(ListDocument<EmitDocument>))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(TokenDocument))]
[JsonSerializable(typeof(SignInDocument))]
[JsonSerializable(typeof(ListDocument<TokenDocument>))]
[JsonSerializable(typeof(ListDocument<SessionDocument>))]
[JsonSerializable(typeof(TokenRequestDocument))]
[JsonSerializable(typeof(ListDocument<AccountDocument>))]
[JsonSerializable(typeof(AccountRequestDocument))]
[JsonSerializable(typeof(ListDocument<AlertDocument>))]
[JsonSerializable(typeof(AlertRequestDocument))]
[JsonSerializable(typeof(AlertTestDocument))]
[JsonSerializable(typeof(SecretDocument))]
[JsonSerializable(typeof(SecretListDocument))]
[JsonSerializable(typeof(SecretRequestDocument))]
[JsonSerializable(typeof(ListDocument<DataStoreDocument>))]
[JsonSerializable(typeof(ListDocument<StoredValueDocument>))]
[JsonSerializable(typeof(StoredValueRequestDocument))]
[JsonSerializable(typeof(UsageDocument))]
[JsonSerializable(typeof(ManualEventDocument))]
[JsonSerializable(typeof(ReplayDocument))]
[JsonSerializable(typeof(ReplayRequestDocument))]
[JsonSerializable(typeof(ReleaseDocument))]
[JsonSerializable(typeof(ResendDocument))]
[JsonSerializable(typeof(ResendRequestDocument))]
[JsonSerializable(typeof(DeployDocument))]
[JsonSerializable(typeof(ChangeDocument))]
[JsonSerializable(typeof(HealthDocument))]
[JsonSerializable(typeof(HoldDocument))]
[JsonSerializable(typeof(ListDocument<ServerDocument>))]
[JsonSerializable(typeof(EgressAddressesDocument))]
[JsonSerializable(typeof(EgressDocument))]
[JsonSerializable(typeof(ProblemDocument))]
public sealed partial class ApiJson : JsonSerializerContext
{
    /// <summary>Maximum nesting of documents: an event's body may have 256 levels.</summary>
    public const int MaxDepth = 512;
}

/// <summary>Times as <c>2026-11-23T14:02:31.207Z</c>.</summary>
public sealed class UtcTime : JsonConverter<DateTimeOffset>
{
    public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.GetDateTimeOffset();

    public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options)
    {
        Span<char> text = stackalloc char[24];
        value.UtcDateTime.TryFormat(text, out int length, "yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        writer.WriteStringValue(text[..length]);
    }
}
