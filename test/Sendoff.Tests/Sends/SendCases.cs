using CsCheck;

namespace Sendoff.Tests.Sends;

/// <summary>A URL of this machine in its parts, spelled as somebody might.</summary>
/// <param name="Rest">Path, query and fragment, and what follows the URL by mistake.</param>
sealed record AskedUrl(string Scheme, string? Userinfo, string Host, string Port, string Rest, bool IsObject)
{
    public Js Value
    {
        get
        {
            string text = $"{Scheme}{(Userinfo is null ? "" : Userinfo + "@")}{Host}:{Port}{Rest}";
            return IsObject ? new JsUrl(text) : new JsText(text);
        }
    }

    public UrlModel Model => UrlModel.Parse(Userinfo, Host, Rest);
}

/// <summary>A generated call, with its URL's parts when that is a good one.</summary>
sealed record SendCase(AskedSend Asked, AskedUrl? Url)
{
    public override string ToString() => Asked.ToString();
}

/// <summary>Calls of <c>$send.http</c> as users make them, and worse.</summary>
static class SendCases
{
    static readonly string[] snippets =
    [
        "a",
        "Z",
        "0",
        "7",
        "key",
        "é",
        "ü",
        "€",
        "中",
        "😀",
        "\ud83d",
        "\ude00",
        "\u0301",
        "%",
        "%41",
        "%e2%82%ac",
        "%ff",
        "%zz",
        "%2",
        "%2e",
        "%2F",
        "%00x",
        "+",
        " ",
        "#",
        "?",
        "&",
        "=",
        "[",
        "]",
        "[]",
        "/",
        "//",
        "..",
        ".",
        ":",
        ";",
        ",",
        "@",
        "\"",
        "'",
        "<",
        ">",
        "^",
        "`",
        "{",
        "}",
        "|",
        "~",
        "\\",
        "!",
        "*",
        "(",
        ")",
        "$",
        "-",
        "_",
        "\t",
        "\n",
        "\r",
        "\r\n",
        "\0",
        "\u0001",
        "\u001f",
        "\u007f",
        "\u0080",
        "\u00a0",
        "\u00ad",
        "\u00ff",
        "\u2028",
        "\u3000",
        "\ufeff",
        "\ufffd",
        "\uffff",
        "__proto__",
        "constructor",
        "toString",
        "\r\nx-forged: 1",
        "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ];

    static Gen<string> Of(params string[] choices) => Gen.Int[0, choices.Length - 1].Select(i => choices[i]);

    static Gen<Js> Text(this Gen<string> texts) => texts.Select(static text => (Js)new JsText(text));

    static Gen<string> Joined(Gen<string> piece, int most) => piece.Array[0, most].Select(string.Concat);

    static readonly Gen<string> nasty = Joined(Of(snippets), 6);
    static readonly Gen<string> tame = Joined(Of("a", "b", "c", "x", "1", "-"), 5);
    static readonly Gen<string> texts = Gen.Frequency((5, nasty), (3, tame), (1, Of("0", "1", "42", "__proto__", "length", "a[b]")));
    static readonly Gen<string> longTexts = Gen.Select(
        texts,
        Gen.Int[1_000, 3_000],
        static (text, times) => string.Concat(Enumerable.Repeat(text, times))
    );
    static readonly Gen<string> rarelyLong = Gen.Frequency((40, texts), (1, longTexts));

    static Gen<Js> Odd(params string[] kinds) => Of(kinds).Select(static kind => (Js)new JsOdd(kind));

    static readonly Gen<byte[]> bytes = Gen.Frequency((10, Gen.Byte.Array[0, 40]), (1, Gen.Byte.Array[20_000, 100_000]));
    static readonly Gen<Js> words = rarelyLong.Text();
    static readonly double[] edges =
    [
        double.NaN,
        double.PositiveInfinity,
        double.NegativeInfinity,
        1e21,
        1e-7,
        1e-6,
        123456789012345680000d,
        5e-324,
        0.1,
        1.7e308,
    ];
    static readonly Gen<Js> numbers = Gen.OneOf(
            Gen.Int[-1000, 1000].Select(static number => (double)number),
            Gen.Double,
            Gen.Double[0, 1e-4],
            Gen.Int[0, edges.Length - 1].Select(static i => edges[i])
        )
        .Select(static number => (Js)new JsNumber(number));
    static readonly Gen<Js> dates = Gen.Frequency(
        (30, Gen.Long[-62_135_596_800_000, 253_402_300_799_999].Select(static ms => (Js)new JsDate(ms))),
        (1, Gen.Const((Js)new JsDate(null)))
    );
    static readonly Gen<Js> bools = Gen.Bool.Select(static yes => (Js)new JsBool(yes));
    static readonly Gen<Js> bigInts = Gen.Long.Select(static number => (Js)new JsBigInt(number));
    static readonly Gen<Js> blobs = Gen.Select(
        bytes,
        Of("", "text/plain", "Image/PNG", "a/b; c=d", "text/é"),
        Gen.Frequency((2, texts.Select(static name => (string?)name)), (1, Gen.Const((string?)null))),
        static (bytes, type, name) => (Js)new JsBlob(bytes, type, name)
    );
    static readonly Gen<Js> buffers = Gen.Select(
        Of("Buffer", "ArrayBuffer", "DataView", "Uint8Array", "Int8Array", "Uint8ClampedArray"),
        bytes,
        static (kind, bytes) => (Js)new JsBytes(kind, bytes)
    );
    static readonly Gen<Js> urls = Of("https://example.com/", "http://example.com/a?b=c").Select(static href => (Js)new JsUrl(href));
    static readonly Gen<Js> searchParams = Gen.Select(texts, rarelyLong).Array[0, 4].Select(static pairs => (Js)new JsSearchParams(pairs));
    static readonly Gen<Js> forms = Gen.Select(texts, Gen.Frequency((2, words), (1, blobs)))
        .Array[0, 4]
        .Select(static fields => (Js)new JsForm(fields));

    static readonly Gen<Js> leaves = Gen.Frequency(
        (36, words),
        (12, numbers),
        (6, bools),
        (9, dates),
        (6, Odd("undefined", "null")),
        (3, urls),
        (
            1,
            Gen.Frequency(
                (2, bigInts),
                (2, blobs),
                (2, Gen.Byte.Array[0, 5].Select(static few => (Js)new JsBytes("Buffer", few))),
                (1, Odd("function", "symbol", "Map"))
            )
        )
    );

    static readonly Gen<Js> nested = Gen.Recursive<Js>(
        static (depth, inner) =>
            depth >= 3
                ? leaves
                : Gen.Frequency(
                    (4, leaves),
                    (1, inner.Array[0, 3].Select(static items => (Js)new JsArray(items))),
                    (1, ObjectOf(Of("object", "bare", "instance"), texts, inner, 3))
                )
    );

    static Gen<Js> ObjectOf(Gen<string> kind, Gen<string> key, Gen<Js> value, int most) =>
        Gen.Select(kind, Gen.Select(key, value).Array[0, most], static (kind, given) => (Js)new JsObject(kind, given));

    static readonly Gen<Js> objects = ObjectOf(Of("object", "object", "bare", "instance"), texts, nested, 4);
    static readonly Gen<Js> arrays = nested.Array[0, 4].Select(static items => (Js)new JsArray(items));

    static readonly Gen<Js> jsonTexts = Of(
            "{\"a\": 1}",
            " [1]\n",
            "{a}",
            "[",
            "12",
            "\"x\"",
            "null",
            "{\"\\ud800\":[[]]}",
            "\u00a0{}",
            "{} x"
        )
        .Text();

    static readonly Gen<Js?> datas = Maybe(
        Gen.Frequency(
            (5, words),
            (2, jsonTexts),
            (2, numbers),
            (1, bools),
            (1, dates),
            (6, objects),
            (2, arrays),
            (4, buffers),
            (3, searchParams),
            (4, forms),
            (2, blobs),
            (1, urls),
            (1, bigInts),
            (2, Odd("undefined", "null", "Promise", "Map", "Set", "function", "symbol", "circular", "stream", "thenable"))
        )
    );

    static readonly Gen<Js> methods = Gen.Frequency(
        (
            40,
            Of(
                    "GET",
                    "POST",
                    "PUT",
                    "PATCH",
                    "DELETE",
                    "HEAD",
                    "OPTIONS",
                    "TRACE",
                    "post",
                    "Get",
                    "query",
                    "PROPFIND",
                    "X!#$%&'*+-.^_`|~9a"
                )
                .Text()
        ),
        (1, Of("", "NO WAY", "GET\r\n", "CONNECT", "connect", "GÉT", "A/B", "\0").Text()),
        (1, Gen.OneOf(numbers, Odd("null", "undefined", "symbol")))
    );

    static readonly Gen<string> headerNames = Gen.Frequency(
        (24, Of("x-a", "X-A", "x-b", "X-Custom", "x_under", "1", "20", "x!#$%&'*+.^`|~")),
        (
            12,
            Of(
                "content-type",
                "Content-Type",
                "CONTENT-TYPE",
                "Authorization",
                "authorization",
                "host",
                "Host",
                "User-Agent",
                "accept",
                "Accept-Encoding",
                "Cookie",
                "referer",
                "Proxy-Authorization"
            )
        ),
        (
            6,
            Of(
                "Connection",
                "content-length",
                "Transfer-Encoding",
                "keep-alive",
                "TE",
                "trailer",
                "Upgrade",
                "Proxy-Connection",
                "Expect",
                "HTTP2-Settings",
                "connection"
            )
        ),
        (1, Of("", "bad name", "x:y", "x\r\ny", "é", "\0", "(x)", "__proto__", "constructor"))
    );

    static readonly Gen<string> headerTexts = Gen.Frequency(
        (30, Joined(Of("a", "Z", "0", " ", "\t", ",", ";", "=", "\"", "é", "\u0080", "\u00a0", "\u00ff", "/", "\\", "%", "+", ":"), 6)),
        (5, Of("application/json", "text/plain", "  padded\t", "", "Bearer abc")),
        (1, nasty),
        (1, Gen.Int[1, 9_000].Select(static length => new string('l', length)))
    );

    static readonly Gen<Js> headerValues = Gen.Frequency(
        (42, headerTexts.Text()),
        (6, numbers),
        (3, bools),
        (3, bigInts),
        (6, Odd("null", "undefined")),
        (
            9,
            Gen.Frequency((5, headerTexts.Text()), (1, Odd("null", "undefined")), (1, numbers))
                .Array[0, 3]
                .Select(static items => (Js)new JsArray(items))
        ),
        (1, Gen.OneOf(Odd("symbol", "function", "Promise"), dates, objects))
    );

    static readonly Gen<string> types = Of(
        "application/x-www-form-urlencoded",
        "Application/X-WWW-Form-Urlencoded; charset=utf-8",
        "multipart/form-data",
        "multipart/form-data; boundary=mine-42",
        "Multipart/Form-Data; boundary=\"of mine\"",
        "application/xml",
        "application/json",
        "text/csv; charset=iso-8859-1"
    );

    // Some receivers refuse what is no host name; what a step asks for is sent all the same.
    static readonly Gen<(string, Js)> header = Gen.Frequency(
        (
            24,
            Gen.Select(
                headerNames,
                headerValues,
                static (name, value) =>
                    (name, name.Equals("host", StringComparison.OrdinalIgnoreCase) ? new JsText("virtual.example:8080") : value)
            )
        ),
        (6, types.Select(static type => ("content-type", (Js)new JsText(type)))),
        (1, Gen.Const(("Host", (Js)new JsArray([new JsText("a.example"), new JsText("b.example")]))))
    );

    static readonly Gen<Js?> headers = Maybe(
        Gen.Frequency(
            (30, header.Array[0, 4].Select(static given => (Js)new JsObject("object", given))),
            (2, ObjectOf(Gen.Const("Headers"), Of("x-a", "x-b", "content-type", "connection"), Of("1", "text/plain", "a b").Text(), 1)),
            (1, Gen.OneOf(words, arrays, Odd("null", "Map")))
        )
    );

    static readonly Gen<Js?> paramses = Maybe(
        Gen.Frequency(
            (36, objects),
            (12, searchParams),
            (
                1,
                Gen.OneOf(
                    words,
                    arrays,
                    dates,
                    buffers,
                    blobs,
                    forms,
                    Odd("null", "Map", "Set", "Promise", "function", "symbol", "circular")
                )
            )
        )
    );

    static readonly Gen<Js> goodAuths = Gen.Select(
        words,
        words,
        static (name, password) => (Js)new JsObject("object", [("username", name), ("password", password)])
    );
    static readonly Gen<Js> badAuths = Gen.OneOf(
        words,
        Odd("null", "undefined"),
        ObjectOf(Gen.Const("object"), Of("username", "password"), Gen.Frequency((3, words), (1, numbers), (1, Odd("null"))), 2)
    );
    static readonly Gen<Js?> auths = Gen.Frequency((2, Gen.Const((Js?)null)), (1, Maybe(Gen.Frequency((9, goodAuths), (1, badAuths)))));

    static readonly Gen<string> paths = Gen.Frequency(
        (1, Gen.Const("")),
        (6, Gen.Select(Of("/", "/", "\\", "/./", "/a/../"), rarelyLong, static (start, path) => start + path))
    );
    static readonly Gen<string> pairs = Gen.Select(texts, texts, static (key, value) => $"{key}={value}")
        .Array[0, 4]
        .Select(static pairs => string.Join('&', pairs));
    static readonly Gen<string> queries = Gen.Frequency(
        (2, Gen.Const("")),
        (6, Gen.OneOf(rarelyLong, pairs).Select(static query => "?" + query))
    );
    static readonly Gen<string> fragments = Gen.Frequency((3, Gen.Const("")), (1, texts.Select(static fragment => "#" + fragment)));
    static readonly Gen<string> ends = Gen.Frequency((8, Gen.Const("")), (1, Of(" ", "\n", "\0", "\u001f \t")));

    // A receiver may refuse a NUL in a path, and Kestrel does.
    static readonly Gen<string> rests = Gen.Select(
        paths,
        queries,
        fragments,
        ends,
        static (path, query, fragment, end) => (path + query + fragment).Replace("\0", "").Replace("%00", "") + end
    );

    static readonly Gen<string?> userinfos = Gen.Frequency(
        (6, Gen.Const((string?)null)),
        (1, texts.Select(static text => (string?)string.Concat(text.Where(static c => c is not ('/' or '?' or '#' or '\\'))))),
        (1, Of("user:pass", "user", ":pw", "us%40er:p%3As", "a:b@c:d", ":", "ü%:%ff").Select(static text => (string?)text))
    );

    static Gen<Js?> Maybe(Gen<Js> value) => Gen.Frequency((1, Gen.Const((Js?)null)), (3, value.Select(static v => (Js?)v)));

    static Gen<AskedUrl> GoodUrls(int port) =>
        Gen.Select(
            Of("http://", "http://", "http://", "HTTP://", "hTTp:\\\\", "http:/", "http:", " http:///", "\0\thttp://", "ht\ntp://"),
            userinfos,
            Of([.. UrlModel.Hosts.Keys]),
            Of($"{port}", $"0{port}", $"{port / 10}\n{port % 10}"),
            rests,
            Gen.Frequency((6, Gen.Const(false)), (1, Gen.Const(true))),
            static (scheme, userinfo, host, port, rest, isObject) => new AskedUrl(scheme, userinfo, host, port, rest, isObject)
        );

    static Gen<Js?> BadUrls() =>
        Maybe(
            Gen.OneOf(
                Of(
                        "",
                        "/path",
                        "ftp://127.0.0.1/",
                        "file:///etc/passwd",
                        "javascript:1",
                        "http://",
                        "http://127.0.0.1:99999/",
                        "http://127.0.0.1:0/",
                        "http://127.0.0.1:x/",
                        "http://a b/",
                        "http://[::1",
                        "http://127.0.0.256/",
                        "http://0x7f.1.1.1.1/",
                        "http://exa%mple/",
                        "http://a<b/",
                        "http://%00/"
                    )
                    .Text(),
                numbers,
                objects,
                Odd("null", "undefined", "symbol", "function")
            )
        );

    public static Gen<SendCase> Of(int port) =>
        Gen.Select(
            methods,
            Gen.Frequency(
                (30, GoodUrls(port).Select(static url => (url.Value, (AskedUrl?)url))),
                (1, BadUrls().Select(static url => (url!, (AskedUrl?)null)))
            ),
            datas,
            headers,
            paramses,
            auths,
            static (method, url, data, headers, parameters, auth) =>
                new SendCase(new(method, url.Item1, data, headers, parameters, auth), url.Item2)
        );
}
