"""The page's one style sheet: light and dark, phone and print."""

CSS = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1f2328;--quiet:#57606a;--line:#d8dee4;--shade:#f6f8fa;--link:#0550ae}
@media (prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e6e9ed;--quiet:#a3adb8;--line:#343b44;--shade:#1c2127;--link:#79b8ff}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main,header,footer{max-width:76rem;margin:0 auto;padding:0 1rem}
h1{font-size:1.6rem;line-height:1.25;margin:1.5rem 0 .5rem;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:2.5rem 0 .5rem;padding-top:.5rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.25rem 0 .25rem;overflow-wrap:anywhere}
p,li,figcaption,.words td{overflow-wrap:anywhere}
p{margin:.5rem 0;max-width:48rem}
a{color:var(--link)}
small,.quiet,figcaption p,caption{color:var(--quiet)}
small{font-size:.75rem}
ul{padding-left:1.2rem}
.answers{font-size:1.05rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1.5rem}
figure{margin:0}
figcaption h3{margin-top:0}
figcaption p{margin:0 0 .25rem;font-size:.875rem}
svg{display:block;width:100%;height:auto;max-width:27rem}
.fill-ink{fill:var(--ink)}.stroke-ink{stroke:var(--ink)}
.fill-quiet{fill:var(--quiet)}.stroke-quiet{stroke:var(--quiet)}
.fill-grid{fill:var(--line)}.stroke-grid{stroke:var(--line)}
.fill-paper{fill:var(--paper)}.stroke-paper{stroke:var(--paper)}
.scroll{overflow-x:auto;margin:.5rem 0;border:1px solid var(--line);border-radius:.4rem}
.scroll:focus-visible{outline:2px solid var(--link)}
table{border-collapse:collapse;width:100%;font-size:.875rem;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:.4rem .6rem;caption-side:top}
th,td{padding:.3rem .6rem;text-align:right;white-space:nowrap;vertical-align:top}
th{vertical-align:bottom;background:var(--shade);font-weight:600}
th small{display:block;font-weight:400}
tbody tr+tr td{border-top:1px solid var(--line)}
.left{text-align:left}
.words td.left{white-space:normal;min-width:9rem}
details{border:1px solid var(--line);border-radius:.4rem;margin:.5rem 0;padding:0 .75rem}
summary{cursor:pointer;padding:.5rem 0;font-weight:600;overflow-wrap:anywhere}
details[open]{padding-bottom:.75rem}
code{font:.8125rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;overflow-wrap:anywhere}
details ul{list-style:none;padding:0;margin:.25rem 0}
footer{margin-top:3rem;padding-bottom:2rem;color:var(--quiet);font-size:.875rem}
@media print{
@page{margin:8mm}
:root{color-scheme:light;--paper:#fff;--ink:#000;--quiet:#444;--line:#bbb;--shade:#eee;--link:#000}
body{font-size:8.5pt;line-height:1.3}
main,header,footer{max-width:none;padding:0}
h1{font-size:14pt;margin:0 0 2pt}h2{font-size:10.5pt;margin:7pt 0 2pt;padding-top:3pt}h3{font-size:8.5pt;margin:4pt 0 0}
p,ul{max-width:none;margin:2pt 0}
.answers{font-size:8.5pt}.answers:has(li:nth-child(7)){columns:2}
.fine p,.fine ul{font-size:6pt;line-height:1.15}.fine h3{margin:2pt 0 0;font-size:7pt}.fine ul:has(li:nth-child(4)){columns:2;column-gap:4mm}
li,figure,tr,thead,h2,h3{break-inside:avoid}h2,h3,summary,caption,thead{break-after:avoid}
.charts{grid-template-columns:repeat(3,1fr);gap:3mm}
figcaption h3{margin:0}figcaption p{font-size:6.5pt;line-height:1.2;margin:0}
svg{max-height:72mm}figure:not(:has(svg)){display:none}
.scroll{overflow:visible;border:0;margin:0}main>.scroll{break-inside:avoid}
table{font-size:6.5pt;line-height:1.15}caption{padding:0 0 2pt}th,td{padding:.5pt 2.5pt}th small{font-size:5.5pt}
th,td.left{white-space:normal}td.left{min-width:13mm}td.left:first-child{white-space:nowrap}
.screen,details:not([open]),h2:has(+details:not([open])),.working:not(:has(details[open])){display:none}
footer{margin:4pt 0 0;padding:0;font-size:6.5pt}
}
"""
