"""Charts of a page as data for Plotly, which draws them in the browser.

Colors are left to the browser, which knows the theme: a trace says ``meta: {"color": N}``, the
number of its color.
"""
