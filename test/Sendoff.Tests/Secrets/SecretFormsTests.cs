using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CsCheck;
using Sendoff.Engine.Secrets;

namespace Sendoff.Tests.Secrets;

/// <summary>Secrets are stored in one form and used in another: each form that integrations use is covered.</summary>
public sealed class SecretFormsTests
{
    static readonly string pem = NewPem();
    static readonly string stored = pem.Replace("\n", "\\n", StringComparison.Ordinal);

    static string NewPem()
    {
        using var key = RSA.Create(2048);
        return key.ExportPkcs8PrivateKeyPem();
    }

    static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    static string Wrapped(string digits, int columns, string end) =>
        string.Join(end, digits.Chunk(columns).Select(static line => new string(line)));

    static string Body(string key) => string.Concat(key.Split('\n').Where(static line => !line.StartsWith('-')));

    public static TheoryData<string> Kept => new() { "lines", "literal", "quoted", "base64", "account", "accountBase64", "crlf", "spaces" };

    static string Stored(string kept) =>
        kept switch
        {
            "lines" => pem,
            "literal" => stored,
            "quoted" => JsonSerializer.Serialize(pem),
            "base64" => Base64(pem),
            "account" => Account(),
            "accountBase64" => Base64(Account()),
            "crlf" => pem.Replace("\n", "\r\n", StringComparison.Ordinal),
            _ => pem.Replace('\n', ' '),
        };

    static string Account() =>
        JsonSerializer.Serialize(
            new
            {
                type = "service_account",
                project_id = "orders",
                private_key = pem,
                client_email = "me@orders.example",
            }
        );

    static IEnumerable<(string Name, string Text)> Uses()
    {
        string crlf = pem.Replace("\n", "\r\n", StringComparison.Ordinal);
        yield return ("lines", pem);
        yield return ("lines of Windows", crlf);
        yield return ("literal line ends", stored);
        yield return ("in JSON", JsonSerializer.Serialize(new { key = pem }));
        yield return ("in JSON in JSON", JsonSerializer.Serialize(new { text = JsonSerializer.Serialize(new { key = pem }) }));
        yield return ("literal in JSON", JsonSerializer.Serialize(new { key = stored }));
        yield return ("percent", Uri.EscapeDataString(pem));
        yield return (
            "form",
            Uri.EscapeDataString(crlf).Replace("%20", "+", StringComparison.Ordinal).ToLowerInvariant() is var lower
                ? "key=" + Lowered(lower, Uri.EscapeDataString(crlf))
                : ""
        );
        yield return ("Base64", Base64(pem));
        yield return ("Base64 of Windows lines", Base64(crlf));
        yield return ("Base64 in lines of 64", Wrapped(Base64(pem), 64, "\n"));
        yield return ("Base64 in lines of 76", Wrapped(Base64(pem), 76, "\r\n"));
        yield return ("Base64 in indented lines", Wrapped(Base64(pem), 60, "\n    "));
        yield return ("Base64 in lines in JSON", JsonSerializer.Serialize(new { text = Wrapped(Base64(pem), 76, "\r\n") }));
        yield return ("re-wrapped at 76", "-----BEGIN PRIVATE KEY-----\n" + Wrapped(Body(pem), 76, "\n") + "\n-----END PRIVATE KEY-----\n");
        yield return ("body alone", Body(pem));
        yield return ("spaces for line ends", pem.Replace('\n', ' '));
        yield return ("Basic", Base64("user:" + pem));
    }

    // Hexadecimal digits of escapes in lower case, the rest as it was.
    static string Lowered(string lower, string original) =>
        string.Concat(
            original
                .Replace("%20", "+", StringComparison.Ordinal)
                .Select(
                    (c, i) =>
                        i > 0
                        && (
                            original.Replace("%20", "+", StringComparison.Ordinal)[i - 1] == '%'
                            || (i > 1 && original.Replace("%20", "+", StringComparison.Ordinal)[i - 2] == '%')
                        )
                            ? lower[i]
                            : c
                )
        );

    [Theory]
    [MemberData(nameof(Kept))]
    public void A_key_is_covered_in_every_form_however_it_is_kept(string kept)
    {
        var mask = new SecretMask([Stored(kept)]);
        string body = Body(pem);
        foreach (var (name, text) in Uses())
        {
            string masked = mask.Text($"before {text} after");

            Assert.True(
                masked.StartsWith("before ", StringComparison.Ordinal) && masked.EndsWith(" after", StringComparison.Ordinal),
                $"{name}: {masked}"
            );
            AssertHides(body, masked, name);
        }
    }

    static void AssertHides(string body, string masked, string name)
    {
        string flat = SecretForms.Compact(masked.Replace("\\r", "", StringComparison.Ordinal).Replace("\\n", "", StringComparison.Ordinal));
        for (int at = 0; at + 24 <= body.Length; at += 8)
            Assert.False(
                flat.Contains(body.AsSpan(at, 24), StringComparison.Ordinal)
                    || masked.Contains(Base64(body.Substring(at, 24)).AsSpan(4, 24), StringComparison.Ordinal),
                $"{name}: {masked}"
            );
    }

    [Fact]
    public void Only_the_secret_members_of_a_json_secret_are_covered_on_their_own()
    {
        var mask = new SecretMask([Account()]);

        Assert.Equal(
            "service_account orders me@orders.example https://oauth2.example/token",
            mask.Text("service_account orders me@orders.example https://oauth2.example/token")
        );
        Assert.DoesNotContain("orders", mask.Text(Account()), StringComparison.Ordinal);
    }

    [Fact]
    public void A_long_secret_that_a_cut_splits_is_covered_from_its_beginning()
    {
        var mask = new SecretMask([pem]);
        foreach (
            string whole in new[]
            {
                pem,
                JsonSerializer.Serialize(pem),
                Base64("x" + pem),
                Wrapped(Base64(pem), 76, "\r\n"),
                Uri.EscapeDataString(pem),
            }
        )
        {
            for (int length = 60; length < whole.Length; length += 97)
            {
                string masked = Encoding.UTF8.GetString(mask.Bytes(Encoding.UTF8.GetBytes("key=" + whole[..length]), isCut: true).Span);

                Assert.StartsWith("key=", masked, StringComparison.Ordinal);
                AssertHides(Body(pem), masked, $"{length} of {whole[..20]}");
            }
        }
    }

    [Theory]
    [InlineData("s3cr&t<\"x\">", "<b>s3cr&amp;t&lt;&quot;x&quot;&gt;</b>")]
    [InlineData("s3cr&t<\"x\">", "<b>s3cr&#38;t&#x3C;&#34;x&#x22;&#62;</b>")]
    [InlineData("tokenABC'1", "<b>tokenABC&apos;1</b>")]
    public void Character_references_are_undone(string secret, string markup) =>
        Assert.Equal($"<b>{SecretMask.Cover}</b>", new SecretMask([secret]).Text(markup));

    [Theory]
    [InlineData("Tok3n-abc", "TOK3N-ABC", "••••••••")]
    [InlineData("Tok3n-abc", "x-tok3n-abc", "x-••••••••")]
    [InlineData("Tok3n-abc", "content-type", "content-type")]
    [InlineData("tok/3n?", "dG9rLzNuPw", "dG9rLzNuPw")]
    [InlineData("token with spaces and more", "746f6b656e2077697468207370616365732061", "746f6b656e2077697468207370616365732061")]
    [InlineData("token with spaces", "x-746f6b656e207769746820737061636573", "x-••••••••")]
    public void A_name_is_covered_whatever_its_case(string secret, string name, string expected) =>
        Assert.Equal(expected, new SecretMask([secret]).Name(name));

    [Theory]
    [InlineData("https://tok3n-abc.example/Tok3n-abc?x=tok3n-abc", "https://••••••••.example/••••••••?x=tok3n-abc")]
    [InlineData("https://TOK3N-abc:8080", "https://••••••••:8080")]
    [InlineData("https://example.com/", "https://example.com/")]
    public void A_host_is_covered_whatever_its_case(string url, string expected) =>
        Assert.Equal(expected, new SecretMask(["Tok3n-abc"]).Url(url));

    [Fact]
    public void Base64url_of_a_secret_whose_base64_has_a_plus_or_a_slash_is_covered()
    {
        // Mostly 0xfb, 0xff and 0xbf as UTF-8 or ASCII: >>> and ??? give plus signs and slashes.
        const string secret = "ab>>>?~?>>??~~";
        var mask = new SecretMask([secret]);
        foreach (string before in new[] { "", "x", "xy" })
        {
            string digits = Base64(before + secret + "!"),
                url = digits.Replace('+', '-').Replace('/', '_').TrimEnd('=');
            Assert.NotEqual(digits.TrimEnd('='), url);
            Assert.DoesNotContain(url[6..16], mask.Text(url), StringComparison.Ordinal);
            Assert.DoesNotContain(digits[6..16], mask.Text(digits), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_mask_with_further_values_covers_all_of_them_and_is_itself_when_it_has_them_already()
    {
        var mask = new SecretMask(["first-secret"]);
        var more = mask.With(["second-secret"]);

        Assert.Same(mask, mask.With(["first-secret", "abc"]));
        Assert.Equal($"{SecretMask.Cover} {SecretMask.Cover}", more.Text("first-secret second-secret"));
        Assert.Equal("second-secret", mask.Text("second-secret"));
    }

    [Fact]
    public void Any_text_can_be_a_secret()
    {
        var pieces = Gen.OneOf(
            Gen.Const("\\ud800"),
            Gen.Const("\\udfff"),
            Gen.Const("\ud800"),
            Gen.Const("\""),
            Gen.Const("{\"private_key\":\""),
            Gen.Const("\"}"),
            Gen.Const("["),
            Gen.Const("-----BEGIN KEY-----"),
            Gen.String[Gen.Char[' ', '~'], 0, 20]
        );
        Gen.Select(pieces.Array[0, 8], Gen.Bool)
            .Sample(
                (parts, isQuoted) =>
                {
                    string text = string.Concat(parts);
                    string secret = isQuoted ? $"\"{text}\"" : text;
                    // Shorter values are not masked.
                    if (secret.Trim().Length >= 12 && !secret.Any(char.IsSurrogate))
                        Assert.DoesNotContain(secret, new SecretMask([secret]).Text($"a {secret} b"), StringComparison.Ordinal);
                    else
                        _ = new SecretMask([secret]);
                },
                iter: 5_000
            );
    }

    [Fact]
    public void No_form_in_no_surroundings_lets_a_secret_through()
    {
        Func<string, string>[] forms =
        [
            static s => s,
            static s => "Basic " + Base64("user:" + s),
            static s => Base64("u:" + s),
            static s => Base64(s),
            static s => Base64("ab:" + s).Replace('+', '-').Replace('/', '_').TrimEnd('='),
            static s => Uri.EscapeDataString(s),
            static s => string.Concat(Encoding.UTF8.GetBytes(s).Select(static b => $"%{b:x2}")),
            static s => Uri.EscapeDataString(s).Replace("%20", "+", StringComparison.Ordinal),
            static s => JsonSerializer.Serialize(s),
            static s => JsonSerializer.Serialize(JsonSerializer.Serialize(s)),
            static s => System.Net.WebUtility.HtmlEncode(s),
            static s => Convert.ToHexString(Encoding.UTF8.GetBytes(s)),
            static s => Convert.ToHexStringLower(Encoding.UTF8.GetBytes(s)),
            static s => Wrapped(Base64(new string('x', 41) + s + new string('y', 50)), 64, "\n"),
            static s => Wrapped(Base64(new string('x', 52) + s + new string('y', 50)), 76, "\r\n"),
        ];
        var secrets = Gen.String[Gen.Char['!', '~'], 12, 40];
        var around = Gen.String[Gen.Char[" .,:;<>{}()\n"], 0, 12];
        Gen.Select(secrets, around, around, Gen.Int[0, forms.Length - 1])
            .Sample(
                (secret, before, after, form) =>
                {
                    string masked = new SecretMask([secret]).Text(before + forms[form](secret) + after);

                    Assert.Contains(SecretMask.Cover, masked, StringComparison.Ordinal);
                    Assert.StartsWith(before, masked, StringComparison.Ordinal);
                    Assert.EndsWith(after, masked, StringComparison.Ordinal);
                    Assert.DoesNotContain(secret, masked, StringComparison.Ordinal);
                },
                iter: 5_000
            );
    }
}
