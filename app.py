"""The dashboard: `streamlit run app.py`. Navigation over pages/, and the frame all pages share."""

import streamlit as st

from dashboard.shared import allocation, shell

allocation.give_back()
st.set_page_config(page_title="GPO-VAE", page_icon="🧬", layout="wide")
page = st.navigation(
    [
        st.Page("pages/home.py", title="Home", default=True),
        st.Page("pages/runs.py", title="Runs"),
        st.Page("pages/data.py", title="Data"),
        st.Page("pages/train.py", title="Train"),
        st.Page("pages/network.py", title="Network"),
        st.Page("pages/response.py", title="Response"),
        st.Page("pages/whatif.py", title="What if"),
        st.Page("pages/benchmark.py", title="Benchmark"),
        st.Page("pages/experiments.py", title="Experiments"),
    ],
    position="top",
)
shell.frame()
with shell.errors_in_words():
    page.run()
shell.finish()
