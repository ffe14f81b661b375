using System.Text;
using System.Text.Json;
using CsCheck;
using Sendoff.Engine.Secrets;

namespace Sendoff.Tests.Secrets;

/// <summary>A secret is covered in whatever spelling it walks through HTTP, and nothing else is.</summary>
public sealed class SecretMaskTests
{
    const string Secret = "s3cr&t/päss+wörd \"7\"";
    static readonly SecretMask mask = new([Secret]);

    static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    public static TheoryData<string> Spellings =>
        new()
        {
            Secret,
            Uri.EscapeDataString(Secret),
            Uri.EscapeDataString(Secret).ToLowerInvariant(),
            Secret.Replace(" ", "%20", StringComparison.Ordinal),
            Uri.EscapeDataString(Secret).Replace("%20", "+", StringComparison.Ordinal),
            JsonSerializer.Serialize(Secret)[1..^1],
            JsonSerializer.Serialize(Secret, JsonSerializerOptions.Web)[1..^1],
            JsonEncodedText.Encode(Secret, System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping).ToString(),
            Secret
                .Replace("/", "\\/", StringComparison.Ordinal)
                .Replace("\"", "\\\"", StringComparison.Ordinal)
                .Replace("ä", "\\u00e4", StringComparison.Ordinal),
            JsonSerializer.Serialize(JsonSerializer.Serialize(Secret)),
            Base64(Secret),
            Base64("user:" + Secret),
            Base64("me:" + Secret),
            Base64("a:" + Secret + "!"),
            Base64("{\"token\":\"" + Secret + "\"}"),
            Base64("user:" + Secret).TrimEnd('=').Replace('+', '-').Replace('/', '_'),
            Uri.EscapeDataString(Base64("user:" + Secret)),
            JsonSerializer.Serialize("Basic " + Base64("user:" + Secret)),
        };

    [Theory]
    [MemberData(nameof(Spellings))]
    public void Every_spelling_is_covered_and_what_stands_around_it_is_left(string spelling)
    {
        string masked = mask.Text($"before {spelling} after");

        Assert.StartsWith("before ", masked, StringComparison.Ordinal);
        Assert.EndsWith(" after", masked, StringComparison.Ordinal);
        Assert.Contains(SecretMask.Cover, masked, StringComparison.Ordinal);
        Assert.DoesNotContain("wörd", masked, StringComparison.Ordinal);
        Assert.DoesNotContain(Base64(Secret)[4..12], masked, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nothing to see")]
    [InlineData("s3cr&t/päss")]
    [InlineData("https://example.com/@user?a=b@c")]
    [InlineData("mail me@example.com, see http://example.com/")]
    public void What_is_no_secret_comes_back_as_it_is(string text) => Assert.Same(text, mask.Text(text));

    [Theory]
    [InlineData("https://user:pass@example.com/x", "https://••••••••@example.com/x")]
    [InlineData("see postgres://me@db/a and http://a:b@c/", "see postgres://••••••••@db/a and http://••••••••@c/")]
    public void Userinfo_in_a_url_is_covered_without_any_secret(string text, string expected) =>
        Assert.Equal(expected, SecretMask.None.Text(text));

    [Fact]
    public void Secrets_that_overlap_or_touch_are_covered_as_one()
    {
        var two = new SecretMask(["abcd", "cdef", "ghij"]);

        Assert.Equal($"x{SecretMask.Cover}y", two.Text("xabcdefghijy"));
    }

    [Fact]
    public void A_secret_that_begins_as_another_does_is_covered_whole() =>
        Assert.Equal($"x {SecretMask.Cover} y", new SecretMask(["token", "token-and-more"]).Text("x token-and-more y"));

    [Fact]
    public void Json_stays_json_when_a_secret_is_a_number_or_an_object()
    {
        var numbers = new SecretMask(["4711", """{"key":"value"}"""]);

        string masked = Encoding.UTF8.GetString(
            numbers.Json("""{"a":4711,"b":-14711.5e3,"c":"x4711","d":{"key":"value"}}"""u8.ToArray(), "{}"u8).Span
        );

        Assert.Equal(
            $$"""{"a":"{{SecretMask.Cover}}","b":"{{SecretMask.Cover}}","c":"x{{SecretMask.Cover}}","d":"{{SecretMask.Cover}}"}""",
            masked
        );
    }

    [Fact]
    public void Json_that_a_secret_would_break_is_left_out()
    {
        var marks = new SecretMask(["\",\"b\":"]);

        Assert.Equal("{}", Encoding.UTF8.GetString(marks.Json("""{"a":"x","b":"y"}"""u8.ToArray(), "{}"u8).Span));
    }

    [Fact]
    public void The_beginning_of_a_secret_at_a_cut_is_covered()
    {
        byte[] text = Encoding.UTF8.GetBytes("token=" + Secret[..9]);

        Assert.Equal("token=" + SecretMask.Cover, Encoding.UTF8.GetString(mask.Bytes(text, isCut: true).Span));
        Assert.Equal("token=" + Secret[..9], Encoding.UTF8.GetString(mask.Bytes(text).Span));
    }

    [Fact]
    public void A_secret_in_bytes_that_are_no_text_is_covered()
    {
        byte[] bytes = [0xff, 0xfe, .. Encoding.UTF8.GetBytes(Secret), 0x80];

        Assert.Equal([0xff, 0xfe, .. Encoding.UTF8.GetBytes(SecretMask.Cover), 0x80], mask.Bytes(bytes).ToArray());
    }

    [Fact]
    public void No_chain_of_encodings_lets_a_secret_through()
    {
        Func<string, string>[] encodings =
        [
            Uri.EscapeDataString,
            text => JsonSerializer.Serialize(text),
            text => string.Concat(Encoding.UTF8.GetBytes(text).Select(b => $"%{b:x2}")),
            text => string.Concat(text.Select(c => $"\\u{(int)c:X4}")),
        ];
        var unicode = Gen.Char.Where(c => !char.IsSurrogate(c));
        Gen.Select(Gen.String[unicode, 4, 24], Gen.String[unicode, 0, 12], Gen.Int[0, 3].Array[0, 3])
            .Sample(
                (secret, around, chain) =>
                {
                    string text = around + secret + around;
                    foreach (int step in chain)
                        text = encodings[step](text);

                    string masked = new SecretMask([secret]).Text(text);

                    Assert.Contains(SecretMask.Cover, masked, StringComparison.Ordinal);
                },
                iter: 2_000
            );
    }

    [Fact]
    public void Base64_of_a_secret_at_any_place_shows_none_of_its_bits()
    {
        Gen.Select(Gen.String[Gen.Char['!', '~'], 6, 24], Gen.String[Gen.Char['a', 'z'], 0, 5], Gen.String[Gen.Char['a', 'z'], 0, 5])
            .Sample(
                (secret, before, after) =>
                {
                    string masked = new SecretMask([secret]).Text(Base64(before + secret + after));

                    string[] parts = masked.Split(SecretMask.Cover);
                    Assert.Equal(2, parts.Length);
                    Assert.StartsWith(parts[0], Base64(before + "???"), StringComparison.Ordinal);
                    Assert.True(parts[0].Length * 6 <= before.Length * 8);
                    Assert.True(parts[1].TrimEnd('=').Length <= (after.Length * 8 + 5) / 6); // the last digit is filled up with zeros
                },
                iter: 2_000
            );
    }
}
