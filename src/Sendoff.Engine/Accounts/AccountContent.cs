using System.Text.Json;
using System.Text.Json.Serialization;
using Sendoff.Engine.Secrets;

namespace Sendoff.Engine.Accounts;

/// <summary>The content of an account in the store, before encryption, and its values that are masked.</summary>
internal static class AccountContent
{
    public static byte[] Write(Account account) => JsonSerializer.SerializeToUtf8Bytes(account, AccountJson.Default.Account);

    public static Account Read(ReadOnlySpan<byte> json) => JsonSerializer.Deserialize(json, AccountJson.Default.Account)!;

    /// <summary>The values that are masked (C8).</summary>
    public static IEnumerable<string> SecretsOf(Account account)
    {
        var values = account.Fields.Values.AsEnumerable();
        if (account.Client?.ClientSecret is { } clientSecret)
            values = values.Append(clientSecret);
        if (account.Tokens is { } tokens)
            values = values
                .Append(tokens.AccessToken)
                .Concat(tokens.RefreshToken is { } refreshToken ? [refreshToken] : [])
                .Concat(tokens.Fields.Values.Where(static value => !IsAddress(value)));
        return values.Where(static value => value.Length >= SecretMask.Shortest);
    }

    /// <summary>The fields that steps see as <c>$auth</c>. The user's fields take precedence over the provider's.</summary>
    public static IReadOnlyDictionary<string, string> FieldsOf(Account account)
    {
        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        if (account is { Tokens: { } tokens, Client: { } client })
        {
            foreach (var (name, value) in tokens.Fields)
                fields[name] = value;
            fields["oauth_access_token"] = tokens.AccessToken;
            fields["oauth_client_id"] = client.ClientId;
        }
        foreach (var (name, value) in account.PlainFields.Concat(account.Fields))
            fields[name] = value;
        return fields;
    }

    // Some providers return the address of their API. Masking it would hide destinations.
    static bool IsAddress(string value) =>
        Uri.TryCreate(value, UriKind.Absolute, out var url)
        && url is { Scheme: "https" or "http", Query: "", UserInfo: "", AbsolutePath: "/" };
}

[JsonSourceGenerationOptions(UseStringEnumConverter = true, IgnoreReadOnlyProperties = true, Converters = [typeof(AccountIdConverter)])]
[JsonSerializable(typeof(Account))]
sealed partial class AccountJson : JsonSerializerContext;

sealed class AccountIdConverter : JsonConverter<AccountId>
{
    public override AccountId Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        new(reader.GetString()!);

    public override void Write(Utf8JsonWriter writer, AccountId value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.Value);
}
